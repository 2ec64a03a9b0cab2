fn main() {
    let (_tx, rx) = annulus::channel::mpmc::<u8>(1);
    let rx = rx.close();
    drop(rx.recv());
}
