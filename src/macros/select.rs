//! `select!`.

/// Waits for the first of several futures, and runs its arm.
///
/// ```text
/// select! {
///     biased;                                    // optional
///     pattern = future => handler,
///     pattern = future, if condition => handler,
///     else => handler,                           // optional
/// }
/// ```
///
/// First all conditions are evaluated, then all futures (those of arms whose condition is false,
/// too), in the order in which they are written. Then the futures are polled on this task until one
/// is ready whose output matches its pattern. All futures are dropped, and the handler of that arm
/// runs: so it may use what the futures had borrowed, and `.await`, `?`, `break`, `continue` and
/// `return` mean there what they mean outside. The value is the handler's; all handlers have one type.
///
/// An arm is out if its condition is false, or its future is ready and the pattern does not match.
/// When all arms are out, the `else` arm runs.
///
/// The arm that is polled first is chosen at random each time, so that one which is always ready
/// does not starve the others. With `biased;` the arms are polled in the order in which they are
/// written, which costs a little less, and leaves the fairness to you.
///
/// In a pattern that may fail to match, `mut` and `ref` cannot be written: the pattern is tried on
/// a reference first.
///
/// # Panics
///
/// When all arms are out and there is no `else` arm.
///
/// # Cancel safety
///
/// The futures that lose are dropped. That loses nothing with futures that say so:
///
/// | operation | dropped before it is ready |
/// |---|---|
/// | `recv`, `recv_many`, `recv_ref` of a channel | has taken no message |
/// | `reserve` of a channel | has reserved nothing |
/// | `send` of a channel | has not sent; the message drops with it: `reserve` first to keep it |
/// | `send_many` of a channel | what was sent is sent; pass `&mut iterator` to keep the rest |
/// | a [`JoinHandle`](crate::JoinHandle) | detaches; pass `&mut handle` to keep it |
///
/// # Examples
///
/// ```
/// use annulus::{channel, select};
///
/// annulus::block_on(async {
///     let (mut numbers, mut numbered) = channel::spsc(4);
///     let (mut words, mut worded) = channel::spsc(4);
///     annulus::spawn(async move { numbers.send(1).await });
///     annulus::spawn(async move { words.send("one").await });
///     let mut seen = 0;
///     loop {
///         select! {
///             Some(number) = numbered.recv() => seen += number,
///             Some(word) = worded.recv() => seen += word.len(),
///             else => break, // both are closed
///         }
///     }
///     assert_eq!(seen, 4);
/// });
/// ```
#[macro_export]
macro_rules! select {
    // An arm a step, each into (number) pattern, future, condition, handler, and three names that
    // are this step's own, so that no two arms share them.
    (@ $from:ident ($($n:tt)*) { $($arms:tt)* } else => $else:expr $(,)?) => {
        $crate::select!(@@ $from ($($n)*) { $($arms)* } $else)
    };
    (@ $from:ident ($($n:tt)*) { $($arms:tt)* }) => {
        $crate::select!(@@ $from ($($n)*) { $($arms)* }
            panic!("all arms of this select! are out, and it has no else arm"))
    };
    (@ $from:ident $n:tt $arms:tt $p:pat = $f:expr, if $c:expr => $h:block, $($t:tt)*) => {
        $crate::select!(@+ $from $n $arms ($p) ($f) ($c) ($h) $($t)*)
    };
    (@ $from:ident $n:tt $arms:tt $p:pat = $f:expr, if $c:expr => $h:block $($t:tt)*) => {
        $crate::select!(@+ $from $n $arms ($p) ($f) ($c) ($h) $($t)*)
    };
    (@ $from:ident $n:tt $arms:tt $p:pat = $f:expr, if $c:expr => $h:expr $(, $($t:tt)*)?) => {
        $crate::select!(@+ $from $n $arms ($p) ($f) ($c) ($h) $($($t)*)?)
    };
    (@ $from:ident $n:tt $arms:tt $p:pat = $f:expr => $h:block, $($t:tt)*) => {
        $crate::select!(@+ $from $n $arms ($p) ($f) (true) ($h) $($t)*)
    };
    (@ $from:ident $n:tt $arms:tt $p:pat = $f:expr => $h:block $($t:tt)*) => {
        $crate::select!(@+ $from $n $arms ($p) ($f) (true) ($h) $($t)*)
    };
    (@ $from:ident $n:tt $arms:tt $p:pat = $f:expr => $h:expr $(, $($t:tt)*)?) => {
        $crate::select!(@+ $from $n $arms ($p) ($f) (true) ($h) $($($t)*)?)
    };
    (@+ $from:ident ($($n:tt)*) { $($arms:tt)* } $p:tt $f:tt $c:tt $h:tt $($t:tt)*) => {
        $crate::select!(@ $from ($($n)* + 1) {
            $($arms)* [($($n)*) $p $f $c $h future output on]
        } $($t)*)
    };
    (@@ $from:ident ($($n:tt)*) {
        $([($($i:tt)*) ($p:pat) ($f:expr) ($c:expr) ($h:expr) $future:ident $output:ident $on:ident])+
    } $else:expr) => {{
        $(let mut $output = ::core::option::Option::None;)+
        let ready: u32 = {
            $(let mut $on: bool = $c;)+
            $(let mut $future = $crate::__private::pin!($f);)+
            let start: u32 = $crate::select!(@from $from ($($n)*));
            $crate::__private::poll_fn(|cx| {
                let mut waits = false;
                // Round from the first arm to be polled, in two halves.
                for (from, to) in [(start, $($n)*), (0, start)] {
                    $(if $on && from <= $($i)* && ($($i)*) < to {
                        match ::core::future::Future::poll($future.as_mut(), cx) {
                            ::core::task::Poll::Ready(output) => {
                                $on = false;
                                #[allow(unused_variables, unreachable_patterns, unused_mut)]
                                let matches = match &output { $p => true, _ => false };
                                if matches {
                                    $output = ::core::option::Option::Some(output);
                                    return ::core::task::Poll::Ready($($i)*);
                                }
                            }
                            ::core::task::Poll::Pending => waits = true,
                        }
                    })+
                }
                if waits { ::core::task::Poll::Pending } else { ::core::task::Poll::Ready($($n)*) }
            })
            .await
        };
        #[allow(unreachable_patterns)]
        match ready {
            $(ready if ready == $($i)* => match $output {
                ::core::option::Option::Some($p) => $h,
                _ => ::core::unreachable!("it has matched before"),
            },)+
            _ => $else,
        }
    }};
    (@from random $n:tt) => { $crate::__private::start $n };
    (@from first $n:tt) => { 0 };
    (biased; $($arms:tt)+) => { $crate::select!(@ first (0) {} $($arms)+) };
    ($($arms:tt)+) => { $crate::select!(@ random (0) {} $($arms)+) };
}
