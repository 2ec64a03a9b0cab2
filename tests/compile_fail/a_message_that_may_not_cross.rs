fn main() {
    let (tx, rx) = annulus::channel::mpmc(1);
    tx.try_send(std::rc::Rc::new(1)).unwrap();
    annulus::spawn(async move { rx.recv().await });
}
