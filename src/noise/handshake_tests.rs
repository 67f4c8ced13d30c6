use std::io::{Read, Write};
use std::thread;
use std::time::Duration;

use super::*;
use crate::noise::read_preamble;
use crate::noise::testing::Pipe;

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

fn id(text: &str) -> crate::bank::ids::ServerId {
    text.parse().unwrap()
}

fn key(of: u8) -> SecretKey {
    SecretKey::of([of; 32]).unwrap()
}

fn preamble() -> Preamble {
    Preamble::new(Some(id("B")), Some(id("A")), None)
}

fn introduction() -> Introduction {
    Introduction { id: id("A"), bank: None, keyed: true }
}

/// Shakes hands as the responder, hears one line and says one.
fn respond(stream: &mut Pipe, until: Instant) -> Result<String, String> {
    let words = |error: HandshakeError| error.to_string();
    // Whatever the preamble says: if it is not what the caller said, the handshake has to fail.
    let caller = read_preamble(Shared(stream), until).map_err(words)?;
    let secured = answer(caller, &key(1), &introduction()).map_err(words)?;
    assert_eq!(secured.key, key(2).fingerprint());
    talk(secured, b"paid", until, false)
}

/// Shakes hands as the initiator, says one line and hears one.
fn call(stream: &mut Pipe, until: Instant) -> Result<String, String> {
    let judge = |proved, said: &Introduction| {
        assert_eq!((proved, said), (key(1).fingerprint(), &introduction()));
        Ok(())
    };
    let (secured, _) = initiate(Shared(stream), until, &key(2), &preamble(), judge)
        .map_err(|error| error.to_string())?;
    talk(secured, b"pay!", until, true)
}

fn talk(
    mut secured: Secured<Shared<'_>>,
    say: &[u8],
    until: Instant,
    first: bool,
) -> Result<String, String> {
    let left = until.saturating_duration_since(Instant::now());
    secured.opener.get_ref().0.set_read_time(Some(left.max(Duration::from_millis(1)))).unwrap();
    let mut sealed = Vec::new();
    secured.sealer.seal(say, &mut sealed);
    let mut heard = [0; 4];
    if !first {
        secured.opener.read_exact(&mut heard).map_err(|error| error.to_string())?;
    }
    secured.opener.frames_mut().write_all(&sealed).unwrap();
    if first {
        secured.opener.read_exact(&mut heard).map_err(|error| error.to_string())?;
    }
    Ok(String::from_utf8_lossy(&heard).into_owned())
}

/// A pipe that is left to its owner after the conversation.
#[derive(Debug)]
struct Shared<'a>(&'a mut Pipe);

impl Read for Shared<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Shared<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Timed for Shared<'_> {
    fn read_time(&self) -> std::io::Result<Option<Duration>> {
        self.0.read_time()
    }

    fn set_read_time(&self, time: Option<Duration>) -> std::io::Result<()> {
        self.0.set_read_time(time)
    }
}

/// What one conversation came to: what each end heard, and what each wrote.
struct Course {
    caller: Result<String, String>,
    responder: Result<String, String>,
    written: [Vec<u8>; 2],
}

/// Holds one conversation, in which the byte at a place of what the caller (or the responder) writes is
/// changed.
fn converse(by_caller: Option<usize>, by_responder: Option<usize>, until: Instant) -> Course {
    let (mut near, mut far) = Pipe::pair();
    (near.changed, far.changed) = (by_caller, by_responder);
    let responding = thread::spawn(move || (respond(&mut far, until), far.written));
    let caller = call(&mut near, until);
    let written = near.written.clone();
    drop(near);
    let (responder, theirs) = responding.join().unwrap();
    Course { caller, responder, written: [written, theirs] }
}

#[test]
fn both_ends_agree_and_nothing_of_what_they_say_passes_in_the_clear() {
    let Course { caller, responder, written } = converse(None, None, soon());
    assert_eq!((caller.as_deref(), responder.as_deref()), (Ok("paid"), Ok("pay!")));
    let shows = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).any(|some| some == what);
    for bytes in &written {
        for secret in [&b"pay!"[..], b"paid", b"keyed", &key(1).public(), &key(2).public()] {
            assert!(!shows(bytes, secret), "{secret:?} passes in the clear");
        }
    }
    assert!(shows(&written[0], preamble().to_string().as_bytes()));
}

#[test]
fn a_byte_that_is_changed_anywhere_ends_the_connection() {
    let whole = converse(None, None, soon());
    let [callers, responders] = whole.written.map(|bytes| bytes.len());
    // A length that is changed makes an end wait; it is not to wait for long.
    let until = || Instant::now() + Duration::from_millis(100);
    for at in 0..callers {
        let heard = converse(Some(at), None, until()).responder;
        assert!(heard.is_err(), "the caller's byte {at} was changed, and it heard {heard:?}");
    }
    for at in 0..responders {
        let heard = converse(None, Some(at), until()).caller;
        assert!(heard.is_err(), "the responder's byte {at} was changed, and it heard {heard:?}");
    }
}

#[test]
fn a_recording_opens_no_door() {
    let Course { written: [callers, responders], .. } = converse(None, None, soon());
    let (mut near, mut far) = Pipe::pair();
    near.write_all(&callers).unwrap();
    let heard = respond(&mut far, soon()).unwrap_err();
    assert!(heard.contains("forged"), "{heard}");
    let (mut near, mut far) = Pipe::pair();
    far.write_all(&responders).unwrap();
    let heard = call(&mut near, soon()).unwrap_err();
    assert!(heard.contains("forged"), "{heard}");
}

#[test]
fn who_reflects_what_was_said_is_refused() {
    let Course { written: [callers, _], .. } = converse(None, None, soon());
    let frame = preamble().to_string().len()..preamble().to_string().len() + 34;
    for (reflected, words) in [(&callers[..], "perhaps"), (&callers[frame], "forged")] {
        let (mut near, mut far) = Pipe::pair();
        far.write_all(reflected).unwrap();
        let heard = call(&mut near, soon()).unwrap_err();
        assert!(heard.contains(words), "{heard}");
    }
}

#[test]
fn a_server_that_is_not_wanted_does_not_learn_who_calls() {
    let (mut near, mut far) = Pipe::pair();
    let responding = thread::spawn(move || respond(&mut far, soon()));
    let judge = |_, _: &Introduction| Err("not this one".to_owned());
    let refused = initiate(Shared(&mut near), soon(), &key(2), &preamble(), judge).unwrap_err();
    assert_eq!((refused.kind(), refused.to_string().as_str()), ("unwanted", "not this one"));
    let length = near.written.len();
    assert_eq!(length, preamble().to_string().len() + 34, "the preamble and the first message");
    drop(near);
    assert!(responding.join().unwrap().unwrap_err().contains("hung up"));
}

#[test]
fn words_of_refusal_are_heard_as_unproved_and_move_no_cursor() {
    for line in ["{\"error\":\"bad\",\"message\":\"not \\u001b[2Jhere\"}\n", "{not \u{1b}[2Jhere"] {
        let (mut near, mut far) = Pipe::pair();
        far.write_all(line.as_bytes()).unwrap();
        drop(far);
        let error = call(&mut near, soon()).unwrap_err();
        assert!(error.contains("proved") && error.contains("not [2Jhere"), "{error:?}");
    }
}

#[test]
fn a_handshake_has_a_time_and_a_size() {
    let now = || Instant::now() + Duration::from_millis(30);
    let (_near, mut far) = Pipe::pair();
    assert!(respond(&mut far, now()).unwrap_err().contains("too long"));
    let (mut near, mut far) = Pipe::pair();
    near.write_all(preamble().to_string().as_bytes()).unwrap();
    near.write_all(&[0]).unwrap();
    assert!(respond(&mut far, now()).unwrap_err().contains("too long"));
    let (mut near, mut far) = Pipe::pair();
    near.write_all(&[b'N'; MAX_PREAMBLE]).unwrap();
    assert!(respond(&mut far, soon()).unwrap_err().contains("no end in its first 1024 bytes"));
    let (mut near, mut far) = Pipe::pair();
    near.write_all(preamble().to_string().as_bytes()).unwrap();
    near.write_all(&1025u16.to_be_bytes()).unwrap();
    assert!(respond(&mut far, soon()).unwrap_err().contains("1025 bytes"));
}

/// Makes a connection, and returns both ends after their handshake.
fn secured() -> (Secured<Pipe>, Secured<Pipe>) {
    let (near, far) = Pipe::pair();
    let responding = thread::spawn(move || {
        answer(read_preamble(far, soon()).unwrap(), &key(1), &introduction()).unwrap()
    });
    let accept = |_, _: &Introduction| Ok(());
    let (one, _) = initiate(near, soon(), &key(2), &preamble(), accept).unwrap();
    (one, responding.join().unwrap())
}

#[test]
fn sealed_text_comes_whole_and_in_order_or_not_at_all() {
    let (mut one, mut other) = secured();
    let text: Vec<u8> = (0..200_000u32).map(|at| (at % 251) as u8).collect();
    let mut sealed = Vec::new();
    one.sealer.seal(&text, &mut sealed);
    assert_eq!(sealed.len(), text.len() + 4 * 18, "four frames");
    one.opener.frames_mut().write_all(&sealed).unwrap();
    let mut heard = vec![0; text.len()];
    other.opener.read_exact(&mut heard).unwrap();
    assert!(heard == text);
    // In turn: a frame that is left out, one that comes twice, and an own frame that comes back.
    let mut frames = [(); 3].map(|()| {
        let mut frame = Vec::new();
        one.sealer.seal(b"line\n", &mut frame);
        frame
    });
    frames.swap(0, 1);
    one.opener.frames_mut().write_all(&frames.concat()).unwrap();
    for _ in 0..3 {
        let error = other.opener.read(&mut heard).expect_err("a frame is left out");
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    }
    other.opener.frames_mut().write_all(&frames[0]).unwrap();
    assert!(one.opener.read(&mut heard).is_err(), "its own frame");
}

/// Bug: after a long frame that could not be opened, the next read gave what it held as if it had been.
#[test]
fn nothing_is_heard_of_a_long_frame_that_was_changed() {
    let (mut one, mut other) = secured();
    let mut sealed = Vec::new();
    one.sealer.seal(&[b'x'; 10_000], &mut sealed);
    sealed[5_000] ^= 1;
    one.opener.frames_mut().write_all(&sealed).unwrap();
    for _ in 0..3 {
        let error = other.opener.read(&mut [0; 100]).expect_err("it was changed");
        assert_eq!(error.kind(), ErrorKind::InvalidData);
    }
}
