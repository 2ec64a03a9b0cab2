fn main() {
    let (_tx, mut rx) = annulus::channel::mpsc::<u8>(1);
    let first = rx.recv();
    let second = rx.recv();
    drop((first, second));
}
