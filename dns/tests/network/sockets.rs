//! The sockets under bad and patient clients.

use crate::responder::{Responder, wait_for};
use conn3ction_dns::server::{Config, TcpLimits};
use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream, UdpSocket},
    time::Duration,
};

/// `host0.example. A`, id 7.
const QUESTION: &[u8] = b"\0\x07\0\0\0\x01\0\0\0\0\0\0\x05host0\x07example\0\0\x01\0\x01";

fn connect(responder: &Responder) -> TcpStream {
    let stream = TcpStream::connect(responder.address).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("set");
    stream
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes(), message].concat()
}

fn read_message(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).expect("a length");
    let mut message = vec![0; u16::from_be_bytes(length) as usize];
    stream.read_exact(&mut message).expect("a message");
    message
}

fn answers(responder: &Responder) {
    let mut stream = connect(responder);
    stream.write_all(&framed(QUESTION)).expect("sent");
    assert_eq!(read_message(&mut stream)[..3], [0, 7, 0x84]);
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
    socket.connect(responder.address).expect("connected");
    socket.set_read_timeout(Some(Duration::from_secs(1))).expect("set");
    let mut reply = [0; 512];
    // A question that finds the server's socket full is lost, as any datagram may be: who asks asks again.
    let replied = (0..60).find_map(|_| {
        socket.send(QUESTION).expect("sent");
        socket.recv(&mut reply).ok()
    });
    assert!(replied.expect("a reply") > QUESTION.len());
    assert_eq!(reply[..3], [0, 7, 0x84]);
}

fn responder(config: Config) -> Responder {
    let mut responder = Responder::start(config);
    responder.publish_example(10);
    responder
}

#[test] // RFC 7766 section 6.2.1.1
fn questions_sent_in_one_go_or_octet_by_octet_are_all_answered_in_order() {
    let responder = responder(Config::default());
    let mut stream = connect(&responder);
    let mut many = Vec::new();
    for id in 0..1000u16 {
        let mut question = QUESTION.to_vec();
        question[..2].copy_from_slice(&id.to_be_bytes());
        many.extend(framed(&question));
    }
    stream.write_all(&many).expect("sent");
    for id in 0..1000u16 {
        assert_eq!(read_message(&mut stream)[..2], id.to_be_bytes());
    }
    stream.set_nodelay(true).expect("set");
    for octet in framed(QUESTION) {
        stream.write_all(&[octet]).expect("sent");
    }
    assert_eq!(read_message(&mut stream)[..2], [0, 7]);
}

#[test]
fn three_hundred_idle_connections_do_not_keep_a_new_client_out() {
    let small = TcpLimits { connections: 100, connections_per_address: 80, ..TcpLimits::default() };
    for limits in [TcpLimits::default(), small] {
        let responder = responder(Config { tcp: limits.clone(), ..Config::default() });
        let idle: Vec<TcpStream> = (0..300).map(|_| connect(&responder)).collect();
        wait_for("all to be taken", || (responder.counters.snapshot().tcp_accepted == 300).then_some(()));
        answers(&responder);
        wait_for("the bound", || {
            (responder.counters.snapshot().tcp_connections <= limits.connections as u64).then_some(())
        });
        drop(idle);
        wait_for("all to be closed", || (responder.counters.snapshot().tcp_connections == 0).then_some(()));
    }
}

#[test]
fn a_connection_that_dribbles_a_message_is_closed_at_the_idle_timeout() {
    let impatient = TcpLimits { idle_timeout: Duration::from_millis(200), ..TcpLimits::default() };
    let responder = responder(Config { tcp: impatient, ..Config::default() });
    let mut stream = connect(&responder);
    stream.write_all(&[0, 200]).expect("sent");
    // Writing on must not keep it open: sooner or later the other end is gone.
    wait_for("the end", || stream.write_all(&[1]).is_err().then_some(()));
    answers(&responder);
}

#[test]
fn a_client_that_never_reads_is_closed_and_what_waits_for_it_is_bounded() {
    let impatient = TcpLimits { write_timeout: Duration::from_millis(200), ..TcpLimits::default() };
    let responder = responder(Config { tcp: impatient, ..Config::default() });
    let mut stream = connect(&responder);
    let many: Vec<u8> = (0..1000).flat_map(|_| framed(QUESTION)).collect();
    // Blocks when nobody takes more, then fails when the responder has given up.
    stream.set_write_timeout(Some(Duration::from_secs(60))).expect("set");
    while stream.write_all(&many).is_ok() {}
    wait_for("the end", || (responder.counters.snapshot().tcp_connections == 0).then_some(()));
    answers(&responder);
}

#[test] // CVE-2020-8620
fn garbage_of_65535_octets_over_tcp_does_no_harm() {
    let responder = responder(Config::default());
    for fill in [0x00, 0xc0, 0xff, 0x3f] {
        let mut stream = connect(&responder);
        let _ = stream.write_all(&framed(&[fill; 65_535]));
        let _ = stream.shutdown(Shutdown::Write);
        let mut reply = Vec::new();
        let _ = stream.read_to_end(&mut reply);
        assert!(reply.len() <= 2 + 512, "{fill:x}: {} octets", reply.len());
    }
    answers(&responder);
}

#[test] // RUSTSEC-2023-0041, and RFC 8906 for the rest
fn random_packets_get_a_reply_or_silence_and_never_a_crash() {
    let responder = responder(Config::default());
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
    socket.connect(responder.address).expect("connected");
    socket.set_nonblocking(true).expect("set");
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let mut draw = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let mut reply = [0; 4096];
    for round in 0..20_000 {
        let mut packet: Vec<u8> = match round % 3 {
            0 => (0..draw() % 600).map(|_| draw() as u8).collect(),
            _ => QUESTION.to_vec(),
        };
        for _ in 0..draw() % 4 {
            let length = packet.len().max(1) as u64;
            if let Some(octet) = packet.get_mut((draw() % length) as usize) {
                *octet = draw() as u8;
            }
        }
        let _ = socket.send(&packet);
        while let Ok(octets) = socket.recv(&mut reply) {
            assert!((12..=1232).contains(&octets) && reply[2] & 0x80 != 0, "a reply is a response");
        }
    }
    // A response gets silence: what comes next is the answer to what was asked after it.
    let mut response = QUESTION.to_vec();
    response[..3].copy_from_slice(&[9, 9, 0x80]);
    socket.send(&response).expect("sent");
    answers(&responder);
    while let Ok(octets) = socket.recv(&mut reply) {
        assert!(octets >= 12 && reply[..2] != [9, 9]);
    }
}
