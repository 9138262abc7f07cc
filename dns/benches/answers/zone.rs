//! The zone that is measured and the questions to it.

use std::fmt::Write;

/// A master file of `names` names: every 20th a CNAME, every 4th with AAAA, a wildcard subtree, a delegation.
pub(crate) fn master_file(names: usize) -> String {
    let mut text = String::with_capacity(names * 40);
    text.push_str(
        "bench.example. 3600 IN SOA ns1.bench.example. hostmaster.bench.example. 1 7200 3600 1209600 300\n\
         bench.example. 3600 IN NS ns1.bench.example.\n\
         bench.example. 3600 IN NS ns2.bench.example.\n\
         bench.example. 300 IN MX 10 mail.bench.example.\n\
         bench.example. 300 IN TXT \"v=spf1 -all\"\n\
         ns1.bench.example. 3600 IN A 192.0.2.53\n\
         ns2.bench.example. 3600 IN A 192.0.2.54\n\
         mail.bench.example. 300 IN A 192.0.2.25\n\
         _sip._udp.bench.example. 300 IN SRV 0 5 5060 mail.bench.example.\n\
         *.wild.bench.example. 300 IN A 192.0.2.99\n\
         sub.bench.example. 300 IN NS ns.sub.bench.example.\n\
         ns.sub.bench.example. 300 IN A 192.0.2.77\n",
    );
    for number in 0..names {
        let _ = match number % 20 {
            0 => writeln!(text, "host{number}.bench.example. 300 IN CNAME host{}.bench.example.", number + 1),
            _ => {
                let [_, a, b, c] = (number as u32).to_be_bytes();
                writeln!(text, "host{number}.bench.example. 300 IN A 10.{a}.{b}.{c}")
            }
        };
        if number % 4 == 1 {
            let _ = writeln!(
                text,
                "host{number}.bench.example. 300 IN AAAA 2001:db8::{:x}:{:x}",
                number >> 16,
                number & 0xffff
            );
        }
    }
    // The last CNAME's target.
    let _ = writeln!(text, "host{names}.bench.example. 300 IN A 192.0.2.1");
    text
}

/// `count` questions in the mix of real life, with EDNS, each sort in its share.
pub(crate) fn questions(names: usize, count: usize) -> Vec<Vec<u8>> {
    let mut random = 0x2545_f491_4f6c_dd1du64;
    let mut draw = move |below: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 11) as usize % below
    };
    let (a, aaaa) = (1, 28);
    (0..count)
        .map(|id| {
            let sort = draw(100);
            let number = draw(names);
            let (name, qtype) = match sort {
                0..75 => (format!("host{}", if number % 20 == 0 { number + 1 } else { number }), a),
                75..79 => (format!("host{}", number / 4 * 4 + 1), aaaa),
                79..83 => (format!("host{}", number / 4 * 4 + 2), aaaa),
                83..88 => (format!("host{}", number / 20 * 20), a),
                88..93 => (format!("nx{number}"), a),
                93..97 => (format!("any{number}.wild"), a),
                97 => (String::new(), if number % 2 == 0 { 15 } else { 16 }),
                98 => ("_sip._udp".to_owned(), 33),
                _ => (format!("host{number}.sub"), a),
            };
            question(id as u16, &name, qtype)
        })
        .collect()
}

fn question(id: u16, name: &str, qtype: u16) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend([0, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
    for label in name.split('.').filter(|label| !label.is_empty()).chain(["bench", "example"]) {
        message.push(label.len() as u8);
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    message.extend_from_slice(&qtype.to_be_bytes());
    message.extend([0, 1]);
    message.extend([0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0, 0, 0]);
    message
}
