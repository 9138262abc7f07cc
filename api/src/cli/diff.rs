//! `diff`: the record sets in which two moments, master files or servers differ.

use anstyle::Style;
use conn3ction_schemas::{
    Delta, Name, RecordType, json,
    zonefile::{Zone, ZoneSet},
};

use super::{
    client::{Client, Failure},
    output::{Output, Printer},
    records::show_changes,
    side::Side,
};
use crate::past::tree;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "FROM and TO are moments (r1041, a time, an age, now), master files (also .gz, `-` is standard input) or \
    @SERVER[:PORT], the zone as that server transfers it (AXFR). A file tells its zone by its SOA; --zone says it otherwise. \
    A SOA that differs in its serial alone is no difference.\n\
    With --exit-code 1 means a difference (or what the server refuses), 2 a file that cannot be read, 4 a server that does \
    not answer or does not transfer."
)]
pub(super) struct Diff {
    /// What to compare with: a moment, a FILE or @SERVER.
    from: String,
    /// What to compare [default: now].
    to: Option<String>,
    /// Only this owner.
    name: Option<String>,
    /// Only this type.
    rtype: Option<String>,
    /// Only this zone; the zone of FILE and @SERVER.
    #[arg(long, value_name = "ZONE")]
    zone: Option<String>,
    /// Only this name and what is below it.
    #[arg(long, value_name = "NAME")]
    under: Option<String>,
    /// End with 1 if there is a difference.
    #[arg(long)]
    exit_code: bool,
}

/// What is compared, and of it what is wanted.
struct Asked<'a> {
    sides: [Side; 2],
    name: Option<&'a str>,
    rtype: Option<&'a str>,
}

impl Diff {
    pub(super) async fn run(&self, client: &Client, printer: &Printer) -> Result<(), Failure> {
        let asked = self.asked().await?;
        let mut shown = Shown { printer, count: 0 };
        match &asked.sides {
            [Side::Moment(from), Side::Moment(to)] => self.moments(from, to, &asked, client, &mut shown).await?,
            sides => self.zones(sides, &asked, client, &mut shown).await?,
        }
        let count = shown.end();
        if self.exit_code && count > 0 {
            let differ = if count == 1 { "record set differs" } else { "record sets differ" };
            return Err(Failure::Left(format!("{count} {differ}")));
        }
        Ok(())
    }

    /// `TO` may be left out before `NAME`: a word that is no operand and has a dot is a name.
    async fn asked(&self) -> Result<Asked<'_>, Failure> {
        const FORMS: &str = "write r1041, 2026-11-22T10:15:00Z, 40m, 2h, 3d or now, a file that is there, or @SERVER";
        let (name, rtype) = (self.name.as_deref(), self.rtype.as_deref());
        let neither = |word: &str, name| Failure::Usage(format!("{word:?} is neither a moment nor a {name}: {FORMS}"));
        let from = Side::of(&self.from).await?.ok_or_else(|| neither(&self.from, "file"))?;
        let now = || Side::Moment("now".into());
        let (to, name, rtype) = match self.to.as_deref() {
            None => (now(), name, rtype),
            Some("-") if self.from == "-" => {
                return Err(Failure::Usage("standard input can be read once; the other side is something else".into()));
            }
            Some(word) => match Side::of(word).await? {
                Some(to) => (to, name, rtype),
                None if rtype.is_none() && word.contains('.') => (now(), Some(word), name),
                None if rtype.is_none() => {
                    let forms = format!("{FORMS}; a name has a dot, as in `com.`");
                    return Err(Failure::Usage(format!("{word:?} is neither a moment nor a name: {forms}")));
                }
                None => return Err(neither(word, "file")),
            },
        };
        Ok(Asked { sides: [from, to], name, rtype })
    }

    /// As it comes from the server: of two moments far apart it may be more than fits.
    async fn moments(
        &self,
        from: &str,
        to: &str,
        asked: &Asked<'_>,
        client: &Client,
        shown: &mut Shown<'_>,
    ) -> Result<(), Failure> {
        let query = [
            ("from", Some(from)),
            ("to", Some(to)),
            ("name", asked.name),
            ("type", asked.rtype),
            ("zone", self.zone.as_deref()),
            ("under", self.under.as_deref()),
        ];
        let mut lines = client.lines(client.url(&["diff"], &query)).await?;
        while let Some(change) = lines.next::<json::ChangeJson>().await? {
            shown.show(change);
        }
        Ok(())
    }

    /// Both whole, and here.
    async fn zones(
        &self,
        sides: &[Side; 2],
        asked: &Asked<'_>,
        client: &Client,
        shown: &mut Shown<'_>,
    ) -> Result<(), Failure> {
        let name = asked.name.map(|text| parsed("NAME", text)).transpose()?;
        let under = self.under.as_deref().map(|text| parsed("--under", text)).transpose()?;
        let rtype = asked.rtype.map(|text| text.parse::<RecordType>()).transpose();
        let rtype = rtype.map_err(|error| Failure::Usage(error.to_string()))?;
        let apex = self.apex(sides, name.as_ref().or(under.as_ref()), client).await?;
        for name in [&name, &under].into_iter().flatten() {
            if !name.is_at_or_below(&apex) {
                return Err(Failure::Usage(format!("{name} is not in the zone {apex}")));
            }
        }
        let [from, to] = sides;
        let (before, after) =
            (from.zone(&apex, client, shown.printer).await?, to.zone(&apex, client, shown.printer).await?);
        let serial =
            |zone: &Zone| zone.soa.as_ref().map_or("no SOA".to_owned(), |soa| format!("serial {}", soa.serial));
        shown.printer.note(&format!("{apex} {from}: {}, {to}: {}", serial(&before), serial(&after)));
        tree::compare(&before.sets, &after.sets, |before, after| {
            let Some(ZoneSet { owner, key, .. }) = before.or(after) else { return };
            let wanted = name.as_ref().is_none_or(|name| name == owner)
                && under.as_ref().is_none_or(|top| owner.is_at_or_below(top))
                && rtype.is_none_or(|rtype| rtype == key.rtype);
            if wanted {
                let [before, after] = [before, after].map(|found| found.map(|found| found.set.clone()));
                let delta = Delta { zone: 0, owner: owner.clone(), key: *key, before, after };
                shown.show(json::ChangeJson::new(&apex, &delta));
            }
        });
        Ok(())
    }

    async fn apex(&self, sides: &[Side; 2], name: Option<&Name>, client: &Client) -> Result<Name, Failure> {
        if let Some(zone) = &self.zone {
            return parsed("--zone", zone);
        }
        // What is at hand tells it before somebody is asked.
        for is_file in [true, false] {
            for side in sides.iter().filter(|side| matches!(side, Side::File { .. }) == is_file) {
                if let Some(apex) = side.apex(name, client).await? {
                    return Ok(apex);
                }
            }
        }
        Err(Failure::Usage(
            "which zone? --zone ZONE says it, where neither a file's SOA nor a NAME at @SERVER does".into(),
        ))
    }
}

fn parsed(what: &str, text: &str) -> Result<Name, Failure> {
    text.parse().map_err(|error| Failure::Usage(format!("{what} {text}: {error}")))
}

/// Prints differences one by one.
struct Shown<'a> {
    printer: &'a Printer,
    count: u64,
}

impl Shown<'_> {
    fn show(&mut self, change: json::ChangeJson) {
        match self.printer.output {
            Output::Json => self.printer.json_lines(&[change]),
            Output::Csv => self.printer.csv(&[change], self.count == 0),
            Output::Table | Output::Wide | Output::Zone => show_changes(self.printer, &[change], 1),
        }
        self.count += 1;
    }

    /// Says it if there was none, and gives their number.
    fn end(self) -> u64 {
        match self.printer.output {
            Output::Csv if self.count == 0 => self.printer.csv::<json::ChangeJson>(&[], true),
            Output::Table | Output::Wide | Output::Zone if self.count == 0 => {
                self.printer.line(Style::new(), "no difference");
            }
            Output::Json | Output::Csv | Output::Table | Output::Wide | Output::Zone => {}
        }
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_second_operand_may_be_left_out_before_a_name() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let asked = async |words: &[&str]| {
            let word = |at: usize| words.get(at).map(|word| (*word).to_owned());
            let (from, to, name, rtype) = (word(0).unwrap_or_default(), word(1), word(2), word(3));
            let diff = Diff { from, to, name, rtype, zone: None, under: None, exit_code: false };
            let Asked { sides, name, rtype } = diff.asked().await.ok()?;
            let words = [name, rtype].into_iter().flatten().collect::<Vec<_>>().join(" ");
            Some(format!("{} {} {words}", sides[0], sides[1]).trim_end().to_owned())
        };
        for (words, told) in [
            (&["1h"][..], "1h now".to_owned()),
            (&["1h", "2h"], "1h 2h".into()),
            (&["1h", "www.example."], "1h now www.example.".into()),
            (&["1h", "www.example.", "A"], "1h now www.example. A".into()),
            (&["1h", "r7", "www.example.", "A"], "1h r7 www.example. A".into()),
            (&[file], format!("{file} now")),
            (&["r7", file, "www.example."], format!("r7 {file} www.example.")),
            (&["@192.0.2.1", "@192.0.2.2:1053"], "@192.0.2.1 @192.0.2.2:1053".into()),
            (&["@192.0.2.1", "www.example"], "@192.0.2.1 now www.example".into()),
        ] {
            assert_eq!(asked(words).await, Some(told), "{words:?}");
        }
        for word in ["yesterday", "2026-11-23", "2hh", "5", "/nowhere/at.all"] {
            assert_eq!(asked(&["1h", word]).await, None, "{word}");
            assert_eq!(asked(&[word]).await, None, "{word}");
        }
        assert_eq!(asked(&["-", "-"]).await, None);
        assert_eq!(asked(&["1h", "a.file", "www.example", "A"]).await, None, "with a type there is no word left out");
    }
}
