# Writes a sample of a folder train|test/class/*.png in many formats with numpy, Pillow, tarfile, zipfile, gzip and struct, and beside each
# what is true of it:
#
#	python3 data/testdata/others/write.py ../shared/data/cifar10-mini OUT && go run ./data/testdata/others OUT/*.facts
import os,sys,glob,struct,gzip,tarfile,zipfile,hashlib,json,io
import numpy as np
from PIL import Image
src,out=sys.argv[1:3]
classes=sorted(os.listdir(src+"/train")); S=[]
for split in ("train","test"):
    for k,c in enumerate(classes):
        for f in sorted(glob.glob(f"{src}/{split}/{c}/*.png"))[:12]:
            im=Image.open(f).convert("RGB"); S.append((split,k,os.path.basename(f)[:-4],np.asarray(im),open(f,"rb").read()))
def facts(name,names,px=lambda a:a):
    rows=sorted(f"{s} {names[k]} {hashlib.sha256(px(a).tobytes()).hexdigest()}" for s,k,n,a,b in S)
    open(f"{out}/{name}.facts","w").write("\n".join(rows)+"\n")
table=[]
for i in range(256):
    c=i
    for _ in range(8): c=(c>>1)^(0x82F63B78 if c&1 else 0)
    table.append(c)
def crc(b):
    c=0xffffffff
    for x in b: c=table[(c^x)&255]^(c>>8)
    c^=0xffffffff
    return (((c>>15)|(c<<17))+0xa282ead8)&0xffffffff
def record(b):
    n=struct.pack("<Q",len(b)); return n+struct.pack("<I",crc(n))+b+struct.pack("<I",crc(b))
def var(n):
    o=b""
    while n>127: o+=bytes([n&127|128]); n>>=7
    return o+bytes([n])
def field(i,b): return var(i<<3|2)+var(len(b))+b
def feat(name,v):
    if isinstance(v,bytes): f=field(1,field(1,v))
    else: f=field(3,field(1,b"".join(var(x) for x in v)))
    return field(1,field(1,name.encode())+field(2,f))
def example(**kw): return field(1,b"".join(feat(k.replace("__","/"),v) for k,v in kw.items()))
os.makedirs(out,exist_ok=True)
# CIFAR-10
d=out+"/cifar"; os.makedirs(d); open(d+"/batches.meta.txt","w").write("\n".join(classes)+"\n\n")
for split,name in (("train","data_batch_1.bin"),("test","test_batch.bin")):
    np.concatenate([np.concatenate([np.uint8([k]),a.transpose(2,0,1).ravel()]) for s,k,n,a,b in S if s==split]).tofile(f"{d}/{name}")
facts("cifar",classes)
# IDX, gzip, gray by Pillow
d=out+"/idx"; os.makedirs(d)
gray=lambda a: np.asarray(Image.fromarray(a).convert("L"))
for split,name in (("train","train"),("test","t10k")):
    x=np.stack([gray(a) for s,k,n,a,b in S if s==split]); y=np.uint8([k for s,k,n,a,b in S if s==split])
    with gzip.open(f"{d}/{name}-images-idx3-ubyte.gz","wb") as f: f.write(struct.pack(">BBBB3I",0,0,8,3,*x.shape)+x.tobytes())
    with gzip.open(f"{d}/{name}-labels-idx1-ubyte.gz","wb") as f: f.write(struct.pack(">BBBBI",0,0,8,1,len(y))+y.tobytes())
facts("idx",[str(i) for i in range(10)],lambda a: np.repeat(gray(a)[:,:,None],3,2))
# WebDataset by tarfile in each of its formats
for fmt,name in ((tarfile.USTAR_FORMAT,"ustar"),(tarfile.GNU_FORMAT,"gnu"),(tarfile.PAX_FORMAT,"pax")):
    d=f"{out}/wds-{name}"; os.makedirs(d); open(d+"/classes.txt","w").write("\n".join(classes)+"\n")
    for split in ("train","test"):
        for shard in range(3):
            with tarfile.open(f"{d}/x-{split}-{shard:06d}.tar","w",format=fmt) as t:
                for i,(s,k,n,a,b) in enumerate(S):
                    if s!=split or i%3!=shard: continue
                    for ext,c in (("png",b),("cls",str(k).encode())):
                        h=tarfile.TarInfo(("sub/"*30 if name!="ustar" else "")+f"{n}-ü.{ext}"); h.size=len(c); t.addfile(h,io.BytesIO(c))
    facts(f"wds-{name}",classes)
# TFRecord
d=out+"/tfds"; os.makedirs(d); open(d+"/label.labels.txt","w").write("\n".join(classes)+"\n")
for split in ("train","test"):
    open(f"{d}/c-{split}.tfrecord-00000-of-00001","wb").write(b"".join(record(example(id=n.encode(),image=b,label=[k])) for s,k,n,a,b in S if s==split))
facts("tfds",classes)
d=out+"/slim"; os.makedirs(d)
for split in ("train","test"):
    open(f"{d}/{split}-00000-of-00001","wb").write(b"".join(record(example(image__encoded=b,image__class__label=[k+1],image__class__text=classes[k].encode())) for s,k,n,a,b in S if s==split))
facts("slim",classes)
# zip by zipfile, tar.bz2 and tar.gz by tarfile, of pictures saved by Pillow in formats without loss
for kind in ("zip","tar.bz2","tar.gz"):
    z=zipfile.ZipFile(out+"/folders.zip","w",zipfile.ZIP_DEFLATED) if kind=="zip" else tarfile.open(f"{out}/folders.{kind}","w:"+kind[4:])
    for i,(s,k,n,a,b) in enumerate(S):
        ext,fmt,kw=[("png","PNG",{}),("bmp","BMP",{}),("tiff","TIFF",{"compression":"tiff_lzw"}),("webp","WEBP",{"lossless":True})][i%4]
        f=io.BytesIO(); Image.fromarray(a).save(f,fmt,**kw); p=f"top/{s}/{classes[k]}/{n}.{ext}"
        if kind=="zip": z.writestr(p,f.getvalue())
        else:
            h=tarfile.TarInfo(p); h.size=len(f.getvalue()); z.addfile(h,io.BytesIO(f.getvalue()))
    z.close(); facts("folders."+kind,classes)
