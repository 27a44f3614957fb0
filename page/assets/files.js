// Pictures that people drop, paste or choose.

const isPicture = name => /\.(jpe?g|jpe|jfif|png|gif|bmp|tiff?|webp)$/i.test(name);

// dropped returns the files of a drop, of folders those inside that are pictures, each with the name of its folder.
export async function dropped(event) {
  const items = [...(event.dataTransfer?.items ?? [])].filter(i => i.kind === 'file');
  const entries = items.map(i => i.webkitGetAsEntry?.() ?? i.getAsFile()); // before the first await: then they are gone
  const found = [];
  const walk = async (entry, folder) => {
    if (entry instanceof File) found.push({ file: entry, folder });
    else if (entry.isFile) {
      const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
      if (!folder || isPicture(file.name)) found.push({ file, folder });
    } else {
      const reader = entry.createReader();
      for (;;) { // a hundred at a time
        const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
        if (!some.length) break;
        for (const e of some) if (!e.name.startsWith('.')) await walk(e, entry.name);
      }
    }
  };
  for (const entry of entries) if (entry) await walk(entry, '');
  return found;
}

// chosen returns the files of an input, of a folder those that are pictures.
export function chosen(input) {
  const list = [...input.files].map(file => ({ file, folder: file.webkitRelativePath?.split('/').at(-2) ?? '' }));
  input.value = '';
  return list.filter(f => !f.folder || isPicture(f.file.name) && !f.file.name.startsWith('.'));
}

// pasted returns the pictures of the clipboard.
export const pasted = event => [...(event.clipboardData?.files ?? [])].filter(f => f.type.startsWith('image/'));

// takesDrops lets files fall on an element. over is told when they hang above it.
export function takesDrops(element, f, { accepts = e => e.dataTransfer?.types.includes('Files') } = {}) {
  let depth = 0;
  const leave = () => { depth = 0; element.classList.remove('over'); };
  element.addEventListener('dragenter', e => {
    if (!accepts(e)) return;
    e.preventDefault();
    depth++;
    element.classList.add('over');
  });
  element.addEventListener('dragover', e => { if (accepts(e)) e.preventDefault(); });
  element.addEventListener('dragleave', e => { if (accepts(e) && --depth <= 0) leave(); });
  element.addEventListener('drop', e => {
    leave();
    if (!accepts(e)) return;
    e.preventDefault();
    e.stopPropagation();
    f(e);
  });
}

// A file that falls beside everything must not replace the page.
for (const event of ['dragover', 'drop']) document.addEventListener(event, e => e.preventDefault());
