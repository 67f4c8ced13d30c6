//! The tunnel: plain lines on loopback, sealed ones to the bank; and what it does when either end ends.
#![cfg(feature = "noise")]

mod support;

use std::io::Read;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use paxos_banking::noise::{
    Introduction, Opener, Sealer, SecretKey, Secured, answer, read_preamble,
};
use serde_json::json;
use support::cluster::{Cluster, PATIENCE, free_address, wait_until};
use support::tunnel::User;

fn open_bank() -> Cluster {
    let (cluster, _) = Cluster::in_memory(&["A", "B", "C"]);
    cluster.wait_until_open();
    cluster
}

fn address_of<'a>(cluster: &'a Cluster, id: &str) -> &'a str {
    &cluster.configs[&id.parse().unwrap()].listen
}

#[test]
fn many_connections_speak_plain_lines_through_it_at_once() {
    let (cluster, user) = (open_bank(), User::new());
    let tunnel = user.tunnel(address_of(&cluster, "A"), &["--id", "A"]);
    let mut clients: Vec<_> = (0..20).map(|_| tunnel.client()).collect();
    for (client, number) in clients.iter_mut().zip(1..) {
        let paid = client.ask(&json!({"id": number, "transfer": {"to": "B", "amount": 1}}));
        assert_eq!((&paid["id"], &paid["outcome"]), (&json!(number), &json!("accepted")), "{paid}");
    }
    let balance = clients[0].ask(&json!({"balance": {}}));
    assert_eq!(balance["balance"], 80);
    // Longer than a frame, and longer than what is carried at once.
    let items: Vec<_> = (0..5_000).map(|_| json!(["A", "B", 1])).collect();
    let paid = clients[1].ask(&json!({"batch": {"items": items}}));
    assert_eq!(paid["outcomes"].as_array().unwrap().len(), 5_000);
    let nonsense = clients[2].ask_line("pay the rent");
    assert_eq!(nonsense["error"], "not_json");
}

/// As `nc` does whose input has ended: what was asked is answered all the same.
#[test]
fn who_has_no_more_to_say_gets_the_answers() {
    let (cluster, user) = (open_bank(), User::new());
    let tunnel = user.tunnel(address_of(&cluster, "A"), &[]);
    let mut client = tunnel.client();
    client
        .send(b"{\"id\":1,\"balance\":{}}\n{\"id\":2,\"transfer\":{\"to\":\"B\",\"amount\":5}}\n");
    client.socket().shutdown(Shutdown::Write).unwrap();
    let mut ids: Vec<_> = (0..2).map(|_| client.read().expect("an answer")["id"].clone()).collect();
    ids.sort_by_key(|id| id.as_u64());
    assert_eq!(ids, [1, 2]);
    assert!(client.read().is_none(), "it has ended");
}

#[test]
fn it_ends_with_the_server_and_says_why_there_is_none() {
    let (mut cluster, user) = (open_bank(), User::new());
    let tunnel = user.tunnel(address_of(&cluster, "A"), &["--timeout", "2s"]);
    let mut client = tunnel.client();
    client.ask(&json!({"balance": {}}));
    cluster.kill("A");
    assert!(client.read().is_none(), "it has ended");
    let mut late = tunnel.client();
    let said = late.read().expect("a line of JSON");
    assert_eq!(said["error"], "unavailable");
    let message = said["message"].as_str().unwrap();
    assert!(
        message.contains("tunnel: ") && message.contains(address_of(&cluster, "A")),
        "{message}"
    );
    assert!(late.read().is_none());
    cluster.start("A");
    wait_until("it goes through again", || {
        let answer = tunnel.client().try_ask(&json!({"status": {}}));
        answer.is_some_and(|answer| answer["server"] == "A")
    });
}

/// The far end of one connection through a tunnel.
struct Far {
    opener: Opener<TcpStream>,
    sealer: Sealer,
}

fn accept(listener: &TcpListener, key: &SecretKey) -> Far {
    let socket = listener.accept().unwrap().0;
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let caller = read_preamble(socket, Instant::now() + Duration::from_secs(30)).unwrap();
    let introduction = Introduction { id: "A".parse().unwrap(), bank: None, keyed: true };
    let Secured { opener, sealer, .. } = answer(caller, key, &introduction).unwrap();
    Far { opener, sealer }
}

#[test]
fn each_end_hears_that_the_other_has_ended() {
    let (listener, user) = (TcpListener::bind("127.0.0.1:0").unwrap(), User::new());
    let (address, key) = (listener.local_addr().unwrap().to_string(), SecretKey::random().unwrap());
    let first = {
        let (listener, key) = (listener.try_clone().unwrap(), key.clone());
        // What the tunnel tries when it begins.
        thread::spawn(move || accept(&listener, &key))
    };
    let tunnel = user.tunnel(&address, &[]);
    drop(first.join().unwrap());
    let client = tunnel.client();
    let mut far = accept(&listener, &key);
    client.send(b"hello\n");
    let mut heard = [0; 6];
    far.opener.read_exact(&mut heard).unwrap();
    assert_eq!(&heard, b"hello\n");
    drop(client);
    assert_eq!(far.opener.read(&mut [0; 9]).unwrap(), 0, "the client's end is heard");
    // The other way round; and what was sealed before is carried on.
    let mut client = tunnel.client();
    let mut far = accept(&listener, &key);
    let mut sealed = Vec::new();
    far.sealer.seal(b"{\"last\":\"word\"}\n", &mut sealed);
    std::io::Write::write_all(&mut far.opener.get_ref(), &sealed).unwrap();
    drop(far);
    assert_eq!(client.read(), Some(json!({"last": "word"})));
    assert!(client.read().is_none(), "the server's end is heard");
    // Bytes that nobody sealed are an end, too.
    let mut client = tunnel.client();
    let far = accept(&listener, &key);
    std::io::Write::write_all(&mut far.opener.get_ref(), &[0, 20, 1, 2, 3, 4, 5]).unwrap();
    std::io::Write::write_all(&mut far.opener.get_ref(), &[0; 20]).unwrap();
    assert!(client.read().is_none(), "nothing forged is carried");
}

/// What a program says that should end by itself.
fn to_its_end(command: std::process::Command) -> std::process::Output {
    assert_cmd::Command::from_std(command).timeout(PATIENCE).output().unwrap()
}

#[test]
fn it_does_not_begin_with_what_cannot_go_well() {
    let (cluster, user) = (open_bank(), User::new());
    let (a, b) = (address_of(&cluster, "A"), address_of(&cluster, "B"));
    let wrong_key = SecretKey::random().unwrap().fingerprint().to_string();
    let nowhere = user.home().join("none").display().to_string();
    for (listen, connect, flags, status, part) in [
        ("0.0.0.0:9001", a, vec![], 1, "other machines may reach"),
        ("127.0.0.1:9001", a, vec!["--server-key", &wrong_key], 1, "--server-key says"),
        ("127.0.0.1:9001", b, vec!["--id", "A"], 1, "server A was meant"),
        ("127.0.0.1:9001", a, vec!["--key", &nowhere], 2, "makes one"),
        ("127.0.0.1:0", a, vec![], 2, "port 0"),
    ] {
        let free = free_address();
        let listen = if listen == "127.0.0.1:9001" { &free } else { listen };
        let arguments = ["tunnel", "--listen", listen, "--connect", connect];
        let output = to_its_end(user.program(&[&arguments[..], &flags].concat()));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{said}");
        assert!(said.contains(part), "{part}: {said}");
    }
    std::fs::remove_file(user.keys().join("key")).unwrap();
    let output = to_its_end(user.program(&["tunnel", "--listen", &free_address(), "--connect", a]));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("`paxos-banking key` makes one"), "{said}");
}
