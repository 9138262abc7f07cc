//! What RFC 8906 asks servers: every odd query gets the code that it should, or silence where it must.

use std::{net::UdpSocket, time::Duration};

use conn3ction_dns::server::Config;

use crate::{random::Random, responder::Responder};

const NAME: &[u8] = b"\x05host0\x07example\0";

/// A message with id 7, `flags`, the counts of its sections and `rest`.
fn message(flags: u16, counts: [u16; 4], rest: &[&[u8]]) -> Vec<u8> {
    let mut wire = vec![0, 7];
    wire.extend(flags.to_be_bytes());
    counts.iter().for_each(|count| wire.extend(count.to_be_bytes()));
    wire.extend(rest.concat());
    wire
}

const FORMERR: Option<u16> = Some(1);

#[test] // RFC 8906 section 8, RFC 6891 sections 6.1 and 7
fn odd_queries_get_their_code_or_silence() {
    let mut responder = Responder::start(Config::default());
    responder.publish_example(10);
    let question = [NAME, &[0, 1, 0, 1]].concat();
    let opt = |version: u8, flags: u8, options: &[u8]| {
        let mut opt = vec![0, 0, 41, 4, 0xd0, 0, version, flags, 0];
        opt.extend((options.len() as u16).to_be_bytes());
        opt.extend(options);
        opt
    };
    let loops = b"\xc0\x0c\0\x01\0\x01";
    let cases: &[(&str, Vec<u8>, Option<u16>)] = &[
        ("a plain question", message(0, [1, 0, 0, 0], &[&question]), Some(0)),
        ("reserved header bit", message(0x0040, [1, 0, 0, 0], &[&question]), Some(0)),
        ("AD, CD and RD", message(0x0130, [1, 0, 0, 0], &[&question]), Some(0)),
        ("an unknown type", message(0, [1, 0, 0, 0], &[NAME, &[0xff, 0xfe, 0, 1]]), Some(0)),
        ("an unknown operation", message(15 << 11, [1, 0, 0, 0], &[&question]), Some(4)),
        ("an unknown operation, header alone", message(15 << 11, [0; 4], &[]), Some(4)),
        ("no question", message(0, [0; 4], &[]), FORMERR),
        ("two questions", message(0, [2, 0, 0, 0], &[&question, &question]), FORMERR),
        ("a count without its question", message(0, [1, 0, 0, 0], &[]), FORMERR),
        ("a question cut short", message(0, [1, 0, 0, 0], &[&question[..8]]), FORMERR),
        ("a pointer to itself", message(0, [1, 0, 0, 0], &[loops]), FORMERR),
        ("a pointer beyond the end", message(0, [1, 0, 0, 0], &[b"\xff\xff\0\x01\0\x01"]), FORMERR),
        ("octets behind the end", message(0, [1, 0, 0, 0], &[&question, b"x"]), FORMERR),
        ("EDNS", message(0, [1, 0, 0, 1], &[&question, &opt(0, 0, &[])]), Some(0)),
        ("EDNS 1", message(0, [1, 0, 0, 1], &[&question, &opt(1, 0, &[])]), Some(16)),
        ("EDNS 1 with an option", message(0, [1, 0, 0, 1], &[&question, &opt(1, 0, &[0, 100, 0, 0])]), Some(16)),
        ("an unknown EDNS flag", message(0, [1, 0, 0, 1], &[&question, &opt(0, 0x40, &[])]), Some(0)),
        ("an unknown option", message(0, [1, 0, 0, 1], &[&question, &opt(0, 0, &[0, 100, 0, 1, 9])]), Some(0)),
        ("an option cut short", message(0, [1, 0, 0, 1], &[&question, &opt(0, 0, &[0, 100, 0, 9, 9])]), FORMERR),
        ("two OPT", message(0, [1, 0, 0, 2], &[&question, &opt(0, 0, &[]), &opt(0, 0, &[])]), FORMERR),
        ("OPT in the answer section", message(0, [1, 1, 0, 0], &[&question, &opt(0, 0, &[])]), FORMERR),
        ("another class", message(0, [1, 0, 0, 0], &[NAME, &[0, 1, 0, 3]]), Some(5)),
        ("a response", message(0x8000, [1, 0, 0, 0], &[&question]), None),
        ("a header cut short", message(0, [1, 0, 0, 0], &[])[..11].to_vec(), None),
        ("nothing", Vec::new(), None),
    ];
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bound");
    socket.connect(responder.address).expect("connected");
    socket.set_read_timeout(Some(Duration::from_secs(30))).expect("set");
    let mut reply = [0; 2048];
    for (what, packet, expected) in cases {
        socket.send(packet).expect("sent");
        if expected.is_none() {
            // Silence shows in that the next reply is to what comes next.
            let mut next = message(0, [1, 0, 0, 0], &[&question]);
            next[1] = 8;
            socket.send(&next).expect("sent");
            socket.recv(&mut reply).expect("a reply");
            assert_eq!(reply[1], 8, "{what}: answered");
            continue;
        }
        let octets = socket.recv(&mut reply).expect("a reply");
        let has_opt = octets > 11 && reply[11] > 0;
        let upper = if has_opt { u16::from(reply[octets - 6]) << 4 } else { 0 };
        assert_eq!((reply[1], reply[2] & 0x80, Some(upper | u16::from(reply[3] & 15))), (7, 0x80, *expected), "{what}");
    }
}

#[test]
fn no_mutation_of_a_query_crashes_it_or_has_a_response_answered() {
    let mut random = Random::seeded("mutations", 1);
    let mut responder = Responder::start(Config::default());
    responder.publish_example(10);
    let view = responder.view();
    let opt = [0, 0, 41, 4, 0xd0, 0, 0, 0x80, 0, 0, 4, 0, 10, 0, 0];
    let valid = message(0, [1, 0, 0, 1], &[NAME, &[0, 1, 0, 1], &opt]);
    let mut out = [0; 65_535];
    for _ in 0..100_000 {
        let mut packet = valid.clone();
        for _ in 0..1 + random.below(4) {
            let at = random.below(packet.len().max(1));
            match random.below(4) {
                0 if !packet.is_empty() => drop(packet.remove(at)),
                1 => packet.insert(at, random.draw() as u8),
                2 => packet.truncate(at.max(1)),
                _ => packet.iter_mut().skip(at).take(1).for_each(|octet| *octet = random.draw() as u8),
            }
        }
        let transport = conn3ction_dns::Transport::Udp { max_size: 1232 };
        let reply = conn3ction_dns::answer(&view, &packet, transport, &mut out);
        let is_response = packet.len() < 12 || packet[2] & 0x80 != 0;
        assert_eq!(reply.is_none(), is_response, "{packet:02x?}");
        assert!(reply.is_none_or(|octets| (12..=1232).contains(&octets) && out[2] & 0x80 != 0), "{packet:02x?}");
    }
}
