use proptest::prelude::*;

use super::*;

/// Total bound that nothing reaches.
const AMPLE: usize = 1 << 30;

fn ring(max: usize) -> Ring {
    Ring::new(max, Arc::new(Total::new(AMPLE)))
}

/// An event of `len` bytes with its overhead.
fn event(len: usize) -> Bytes {
    Bytes::from(vec![b'x'; len - OVERHEAD])
}

fn taken(ring: &mut Ring) -> usize {
    std::iter::from_fn(|| ring.take()).count()
}

#[test]
fn events_are_taken_once_and_read_again_after_a_seek() {
    let mut ring = ring(10_000);
    for (bytes, is_event) in [("a", true), (": ping", false), ("b", true), ("c", true)] {
        ring.push(Bytes::from_static(bytes.as_bytes()), is_event);
    }
    assert_eq!(std::iter::from_fn(|| ring.take()).collect::<Vec<_>>(), ["a", ": ping", "b", "c"]);
    assert_eq!(ring.take(), None);
    for (after, rest) in [(0, vec!["a", ": ping", "b", "c"]), (1, vec!["b", "c"]), (2, vec!["c"]), (3, vec![])] {
        assert_eq!(ring.seek(after), Ok(()));
        assert_eq!(std::iter::from_fn(|| ring.take()).collect::<Vec<_>>(), rest, "after {after}");
    }
    assert_eq!(ring.seek(4), Err(NoPlace::Ahead(3)));
    assert_eq!(ring.next_number(), 4);
}

#[test]
fn unread_events_fill_half_and_read_ones_make_room() {
    let mut ring = ring(1_000);
    for _ in 0..5 {
        assert!(ring.has_room(100 - OVERHEAD));
        ring.push(event(100), true);
    }
    assert!(!ring.has_room(100 - OVERHEAD), "half of the bound is unread");
    assert_eq!(ring.seek(0), Ok(()), "nothing is lost");
    assert_eq!(taken(&mut ring), 5);
    for _ in 0..5 {
        assert!(ring.has_room(100 - OVERHEAD));
        ring.push(event(100), true);
    }
    assert_eq!(ring.bytes, 1_000);
    assert_eq!(ring.seek(0), Ok(()), "the whole bound is used");
    assert_eq!(ring.seek(5), Ok(()));
    assert_eq!(taken(&mut ring), 5);
    ring.push(event(100), true);
    assert_eq!((ring.bytes, ring.seek(0)), (1_000, Err(NoPlace::PushedOut(2))));
    assert_eq!(ring.seek(1), Ok(()));
}

#[test]
fn an_event_that_is_too_large_passes_alone() {
    let mut ring = ring(1_000);
    assert!(ring.has_room(5_000));
    ring.push(event(5_000), true);
    assert!(!ring.has_room(1));
    assert_eq!(ring.take().map(|event| event.len()), Some(5_000 - OVERHEAD));
    assert_eq!((ring.bytes, ring.seek(0)), (0, Err(NoPlace::PushedOut(2))), "it is too large to be kept");
    assert_eq!(ring.seek(1), Ok(()));
}

#[test]
fn all_rings_share_one_bound() {
    let total = Arc::new(Total::new(1_000));
    let mut first = Ring::new(10_000, Arc::clone(&total));
    let mut second = Ring::new(10_000, Arc::clone(&total));
    for _ in 0..8 {
        first.push(event(100), true);
    }
    second.push(event(100), true);
    assert!(second.has_room(100 - OVERHEAD) && !total.is_full());
    second.push(event(100), true);
    assert!(total.is_full() && !second.has_room(1), "it waits for its reader");
    assert_eq!(second.take().map(|event| event.len()), Some(100 - OVERHEAD));
    assert!(second.has_room(100 - OVERHEAD), "what was read makes room");
    second.push(event(100), true);
    assert_eq!((total.held(), second.seek(0)), (1_000, Err(NoPlace::PushedOut(2))));
    drop(first);
    assert_eq!(total.held(), 200);
    drop(second);
    assert_eq!(total.held(), 0);
}

/// A step of a stream: an event of some length, one that is taken, or a reader that comes back after having seen all but
/// the last few events that it took.
#[derive(Clone, Debug)]
enum Step {
    Push(usize),
    Take,
    Reconnect(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0_usize..400).prop_map(Step::Push),
        3 => Just(Step::Take),
        1 => (0_u64..12).prop_map(Step::Reconnect),
    ];
    proptest::collection::vec(step, 0..200)
}

proptest! {
    #[test]
    fn whatever_the_reader_does_it_reads_each_event_in_order_or_is_told_what_is_gone(
        steps in steps(), max in 0_usize..3_000, total in 0_usize..6_000,
    ) {
        let total = Arc::new(Total::new(total));
        let mut ring = Ring::new(max, Arc::clone(&total));
        let (mut pushed, mut read) = (0_u64, 0_u64);
        for step in steps {
            match step {
                Step::Push(len) => {
                    if ring.has_room(len) {
                        pushed += 1;
                        let mut event = pushed.to_be_bytes().to_vec();
                        event.resize(len.max(8), 0);
                        ring.push(event.into(), true);
                    }
                    prop_assert!(ring.has_room(0) || ring.unread > 0, "a reader always makes room");
                }
                Step::Take => match ring.take() {
                    Some(event) => {
                        let number = u64::from_be_bytes(event[..8].try_into().unwrap());
                        prop_assert_eq!(number, read + 1);
                        read = number;
                    }
                    None => prop_assert_eq!(read, pushed),
                },
                Step::Reconnect(lost) => {
                    let after = read.saturating_sub(lost);
                    match ring.seek(after) {
                        Ok(()) => read = after,
                        Err(NoPlace::PushedOut(oldest)) => {
                            prop_assert!(oldest > after + 1);
                            prop_assert_eq!(ring.seek(oldest - 1), Ok(()));
                            read = oldest - 1;
                        }
                        Err(NoPlace::Ahead(_)) => prop_assert!(false, "it was read"),
                    }
                }
            }
            prop_assert_eq!(total.held(), ring.bytes);
            let unread: usize = ring.kept.iter().filter(|kept| kept.number > read).map(Kept::len).sum();
            prop_assert_eq!(unread, ring.unread);
            // One event of any length is kept beyond the bounds, and those behind it after a return.
            prop_assert!(ring.bytes <= max.max(ring.unread));
        }
        while let Some(event) = ring.take() {
            read += 1;
            prop_assert_eq!(u64::from_be_bytes(event[..8].try_into().unwrap()), read);
        }
        prop_assert_eq!(read, pushed);
    }

    #[test]
    fn the_last_half_of_what_was_read_is_kept(lens in proptest::collection::vec(0_usize..300, 1..100)) {
        let max = 4_000;
        let mut ring = ring(max);
        let mut sizes = Vec::new();
        for len in lens {
            prop_assert!(ring.has_room(len));
            ring.push(Bytes::from(vec![0; len]), true);
            sizes.push(len + OVERHEAD);
            ring.take();
            // The reader goes away for as long as there is room, and comes back to the oldest event within half.
            let last = sizes.len() as u64;
            let (mut within, mut after) = (0, last);
            for size in sizes.iter().rev() {
                within += size;
                // The entries that make room are removed whole.
                if within + 400 > max / 2 {
                    break;
                }
                after -= 1;
            }
            while ring.has_room(200) {
                ring.push(Bytes::from(vec![0; 200]), true);
                sizes.push(200 + OVERHEAD);
            }
            prop_assert_eq!(ring.seek(after), Ok(()));
            taken(&mut ring);
        }
    }
}
