// The camera.

// open starts the camera in a video element, and returns what stops it.
export async function open(video) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new Error('The browser gives pages a camera only at localhost or over HTTPS.');
  }
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 640 }, facingMode: 'environment' } });
  } catch (error) {
    throw new Error({
      NotAllowedError: 'The camera was not allowed: allow it in the address bar and try again.',
      NotFoundError: 'There is no camera here.',
      NotReadableError: 'The camera is in use by another program.',
    }[error.name] ?? `The camera could not be started: ${error.message}`);
  }
  video.srcObject = stream;
  await video.play();
  return () => {
    stream.getTracks().forEach(track => track.stop());
    video.srcObject = null;
  };
}

// grab takes what a video shows as a JPEG file, its longest side of at most 640 pixels.
export function grab(video) {
  const scale = Math.min(1, 640 / Math.max(video.videoWidth, video.videoHeight));
  const canvas = document.createElement('canvas');
  canvas.width = Math.round(video.videoWidth * scale);
  canvas.height = Math.round(video.videoHeight * scale);
  canvas.getContext('2d').drawImage(video, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve, reject) =>
    canvas.toBlob(blob => blob ? resolve(blob) : reject(new Error('The camera gave no picture.')), 'image/jpeg', 0.92));
}

// loop calls f with what a video shows, again when f is done, until stop is called.
export function loop(video, f, pause = 60) {
  let stopped = false;
  (async () => {
    while (!stopped) {
      const shot = video.videoWidth && !document.hidden && await grab(video).catch(() => null); // perhaps there is one next time
      if (shot) await f(shot);
      await new Promise(resolve => setTimeout(resolve, pause));
    }
  })();
  return () => { stopped = true; };
}
