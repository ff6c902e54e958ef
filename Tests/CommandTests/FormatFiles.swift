import SystemTools
import TestSupport
import Testing

/// Files of every kind that docs/formats.md names, as their own tools write them.
struct FormatFiles {
  let directory: TemporaryDirectory
  /// Packages that this Python has.
  let packages: Set<String>

  init() throws {
    directory = try TemporaryDirectory()
    let python = try Python.find(project: ProgramRunner.repository, for: "test")
    let output = try Tool.run(python, ["-c", Self.script], directory: directory.path)
    try #require(output.status == 0, "\(output.standardError)")
    packages = Set(
      String(decoding: output.standardOutput, as: UTF8.self).split(separator: " ").map(String.init))
  }

  /// 240 features of 12 numbers in 4 classes, with logits and their classifier, in each form; and one file of each kind that
  /// holds no arrays.
  private static let script = #"""
    import bz2, gzip, importlib, io, json, lzma, pickle, tarfile, zipfile
    import numpy as np, torch
    from PIL import Image
    from safetensors.torch import save_file
    def has(name):
        try:
            importlib.import_module(name)
            print(name, end=" ")
            return True
        except ImportError:
            return False
    g = np.random.default_rng(5)
    y = np.arange(240) % 4
    m = g.normal(size=(4, 12)) * 2
    x = (m[y] + g.normal(size=(240, 12))).astype("float32")
    w = (m + 0.1 * g.normal(size=m.shape)).astype("float32")
    b = g.normal(size=4).astype("float32")
    all = {"features": x, "labels": y, "classifier": w, "bias": b, "logits": x @ w.T + b}
    tensors = {name: torch.tensor(array) for name, array in all.items()}
    # What is read.
    unused = {"ids": torch.arange(3).to(torch.uint64), "small": torch.zeros(3).to(torch.float8_e4m3fn),
              "complex": torch.zeros(3).cfloat()}
    save_file({**tensors, **unused}, "safetensors")
    np.savez("npz.npz", **all), np.savez_compressed("npz-packed.npz", **all)
    np.savez("npy-rest.npz", **{name: array for name, array in all.items() if name != "features"})
    np.save("npy.npy", x)
    torch.save(tensors, "torch.pt"), torch.save(all, "torch-numpy.pt"), torch.save(tensors, "torch-called.tar")
    torch.save(tensors, "oldTorch.pth", _use_new_zipfile_serialization=False)
    names = [f"features_{i}" for i in range(12)] + [f"logit{i}" for i in range(4)] + ["label"]
    table = np.column_stack([x, all["logits"], y])
    head = ",".join(names)
    np.savetxt("csv.csv", table, fmt="%.9g", delimiter=",", header=head, comments="")
    np.savetxt("csv-tabs.tsv", table, fmt="%.9g", delimiter="\t", header=head.replace(",", "\t"), comments="")
    if has("h5py"):
        import h5py
        with h5py.File("hdf5.h5", "w") as file:
            for name, array in all.items(): file[name] = array
        with h5py.File("matlabHDF5.mat", "w", userblock_size=512) as file:
            for name, array in all.items(): file[name] = np.atleast_2d(array).T
        with open("matlabHDF5.mat", "r+b") as file:
            file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    else:
        open("hdf5.h5", "wb").write(b"\x89HDF\r\n\x1a\n" + bytes(99))
        open("matlabHDF5.mat", "wb").write(b"MATLAB 7.3 MAT-file".ljust(600))
    if has("scipy"):
        import scipy.io
        scipy.io.savemat("matlab.mat", all), scipy.io.savemat("matlab-packed.mat", all, do_compression=True)
    else:
        open("matlab.mat", "wb").write(b"MATLAB 5.0 MAT-file".ljust(600))
    # What is recognised and refused.
    torch.jit.trace(torch.nn.Linear(2, 3).eval(), torch.zeros(1, 2)).save("torchScript.pt")
    class Other:
        def __reduce__(self): return (eval, ("1",))
    torch.save({"features": Other()}, "asking.pt")
    pickle.dump({"features": 1}, open("pickle.pkl", "wb"))
    open("empty.npz", "wb").close()
    open("parquet.parquet", "wb").write(b"PAR1" + bytes(60) + b"PAR1")
    open("arrow.feather", "wb").write(b"ARROW1\0\0" + bytes(60))
    open("onnx.onnx", "wb").write(b"\x08\x08\x12\x07pytorch" + bytes(60))
    open("idx.idx", "wb").write(b"\0\0\x08\x01\0\0\0\x03abc")
    picture = Image.fromarray(g.integers(0, 256, (8, 8, 3), dtype=np.uint8))
    for kind, form in dict(png="PNG", jpeg="JPEG", gif="GIF", bmp="BMP", tiff="TIFF", webp="WEBP", netpbm="PPM").items():
        picture.save(kind + ".h5", format=form)
    with zipfile.ZipFile("zip.npz", "w") as file: file.writestr("readme.txt", "none")
    with tarfile.open("tar.pt", "w") as file: file.add("npz.npz")
    with tarfile.open("gzippedTar.tar.gz", "w:gz") as file: file.add("npz.npz")
    whole = open("npy.npy", "rb").read()
    gzip.open("gzip.npy.gz", "wb").write(whole), bz2.open("bzip2.npy.bz2", "wb").write(whole)
    lzma.open("xz.npy.xz", "wb").write(whole)
    open("zstandard.npy.zst", "wb").write(b"\x28\xb5\x2f\xfd" + bytes(60))
    json.dump({"features": [1, 2]}, open("json.json", "w"))
    open("text.txt", "w").write("features\nof a network\n")
    open("unknown.bin", "wb").write(bytes([7, 200, 1] * 99))
    """#
}
