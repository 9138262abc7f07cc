//! LOC: where on Earth something is (RFC 1876).

use super::{
    field::{Words, take, take_u32},
    token::{Token, Tokens},
};

/// Version, size, two precisions, latitude, longitude, altitude.
pub(super) const LENGTH: usize = 16;

/// Latitude and longitude 0, in thousandths of an arc second.
const MIDDLE: u32 = 1 << 31;
/// The altitude zero point: 100 km below the reference spheroid, in centimetres.
const GROUND: i64 = 10_000_000;
const DEGREE: u32 = 3_600_000;

pub(super) fn parse(tokens: &mut Tokens<'_>, out: &mut Vec<u8>) -> Result<(), String> {
    let latitude = angle(tokens, "N", "S", 90)?;
    let longitude = angle(tokens, "E", "W", 180)?;
    let altitude = centimetres(tokens.need().map_err(|_| "the altitude is missing")?)? + GROUND;
    let altitude = u32::try_from(altitude).map_err(|_| "the altitude is out of range")?;
    let mut sizes = [0x12, 0x16, 0x13];
    for size in &mut sizes {
        if let Some(token) = tokens.next() {
            *size = power(centimetres(token)?).ok_or_else(|| format!("`{}` is out of range", token.shown()))?;
        }
    }
    out.push(0);
    out.extend(sizes);
    for number in [latitude, longitude, altitude] {
        out.extend(number.to_be_bytes());
    }
    Ok(())
}

pub(super) fn check(octets: &[u8]) -> Result<(), String> {
    let mut rest = octets;
    let head = take(&mut rest, 4)?;
    if head[0] != 0 {
        return Err(format!("version {}, only 0 is defined", head[0]));
    }
    if head[1..].iter().any(|size| size >> 4 > 9 || size & 15 > 9) {
        return Err("a size is written with two decimal digits".into());
    }
    for most in [90, 180] {
        if take_u32(&mut rest).is_none_or(|angle| angle.abs_diff(MIDDLE) > most * DEGREE) {
            return Err(format!("an angle is over {most} degrees"));
        }
    }
    Ok(())
}

pub(super) fn print(octets: &[u8], words: &mut Words) -> Option<()> {
    check(octets).ok()?;
    let (head, mut rest) = octets.split_at_checked(4)?;
    print_angle(take_u32(&mut rest)?, 'N', 'S', words);
    print_angle(take_u32(&mut rest)?, 'E', 'W', words);
    let altitude = i64::from(take_u32(&mut rest)?) - GROUND;
    let sign = if altitude < 0 { "-" } else { "" };
    words.display(format_args!("{sign}{}.{:02}m", altitude.abs() / 100, altitude.abs() % 100));
    for &size in &head[1..] {
        let (digit, zeros) = (u64::from(size >> 4), u32::from(size & 15));
        if digit == 0 && zeros > 0 {
            // Zero with an exponent would be read back as plain zero.
            return None;
        }
        let centimetres = digit * 10u64.pow(zeros);
        match centimetres % 100 {
            // BIND prints decimals below a metre, nothing among them.
            0 if digit > 0 => words.display(format_args!("{}m", centimetres / 100)),
            part => words.display(format_args!("{}.{part:02}m", centimetres / 100)),
        }
    }
    Some(())
}

/// `degrees [minutes [seconds]]` and a letter.
fn angle(tokens: &mut Tokens<'_>, plus: &str, minus: &str, most: u32) -> Result<u32, String> {
    let mut thousandths: u32 = 0;
    for (unit, limit) in [(DEGREE, most), (60_000, 59), (1_000, 59), (0, 0)] {
        let token = tokens.need().map_err(|_| format!("{plus} or {minus} is missing"))?;
        let letter = token.plain();
        let plus = letter.eq_ignore_ascii_case(plus);
        if unit < DEGREE && (plus || letter.eq_ignore_ascii_case(minus)) {
            return match thousandths > most * DEGREE {
                true => Err(format!("more than {most} degrees")),
                false if plus => Ok(MIDDLE + thousandths),
                false => Ok(MIDDLE - thousandths),
            };
        }
        let places = if unit == 1_000 { 3 } else { 0 };
        let number = decimal(token.text, places)
            .and_then(|number| u32::try_from(number).ok())
            .filter(|number| unit > 0 && *number <= limit * 10u32.pow(places) + if places > 0 { 999 } else { 0 })
            .ok_or_else(|| format!("`{}` does not belong to degrees, minutes and seconds", token.shown()))?;
        thousandths += if places > 0 { number } else { number * unit };
    }
    Err(format!("{} or {} is missing", plus, minus))
}

fn print_angle(angle: u32, plus: char, minus: char, words: &mut Words) {
    let letter = if angle < MIDDLE { minus } else { plus };
    let thousandths = angle.abs_diff(MIDDLE);
    let (degrees, rest) = (thousandths / DEGREE, thousandths % DEGREE);
    words.display(format_args!("{degrees} {} {}.{:03} {letter}", rest / 60_000, rest % 60_000 / 1_000, rest % 1_000));
}

/// Metres with at most two decimals and perhaps an `m`, in centimetres.
fn centimetres(token: &Token<'_>) -> Result<i64, String> {
    let text = token.text.strip_suffix(b"m").unwrap_or(token.text);
    let (sign, digits) = text.strip_prefix(b"-").map_or((1, text), |digits| (-1, digits));
    let number = decimal(digits, 2).ok_or_else(|| format!("`{}` is no length such as 12.50m", token.shown()))?;
    Ok(sign * number)
}

/// A decimal number with at most `places` digits after its point, times 10 to the `places`.
fn decimal(text: &[u8], places: u32) -> Option<i64> {
    let mut halves = text.splitn(2, |octet| *octet == b'.');
    let (whole, part) = (halves.next()?, halves.next().unwrap_or(b""));
    if whole.is_empty() || whole.len() > 9 || part.len() > places as usize {
        return None;
    }
    let digits = whole.iter().chain(part).chain(std::iter::repeat_n(&b'0', places as usize - part.len()));
    digits
        .map(|octet| octet.is_ascii_digit().then(|| i64::from(octet - b'0')))
        .try_fold(0, |sum, digit| Some(sum * 10 + digit?))
}

/// One digit and a power of ten, as RFC 1876 section 2 packs sizes; what does not fit is cut.
fn power(centimetres: i64) -> Option<u8> {
    let mut digit = u64::try_from(centimetres).ok()?;
    let mut zeros = 0;
    while digit > 9 {
        digit /= 10;
        zeros += 1;
    }
    (zeros <= 9).then_some((digit as u8) << 4 | zeros)
}
