//! The template engine as layouts have it: no files, no clock, no environment, and a limit to everything.

use super::layout::{Escape, Layout, Part};
use crate::Decimals;
use crate::output::push_number;
use crate::xml::{forbidden, push_escaped};
use ew_core::{Timestamp, Zone};
use minijinja::formatting::{FormatStyle, format};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Object, ObjectRepr, ValueKind};
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value};
use std::fmt;
use std::sync::Arc;

/// What rendering one part may cost: a step of the template, or 64 bytes of text, is 1. Enough for a row of the most
/// columns there may be.
const FUEL: u64 = 1_000_000;

/// The longest text of one part, bytes.
const PART_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How deep templates may nest.
const DEPTH_MAX: usize = 50;

/// The templates of a layout, compiled.
pub(super) struct Engine<'a> {
    environment: Environment<'a>,
}

/// How values are printed.
#[derive(Debug, Clone)]
pub(super) struct Style {
    pub(super) escape: Escape,
    pub(super) null: String,
    pub(super) decimals: Option<Decimals>,
}

impl<'a> Engine<'a> {
    /// Compiles a layout; the error names part and line.
    pub(super) fn new(layout: &'a Layout, style: &Style, zone: &Zone) -> Result<Engine<'a>, String> {
        let mut environment = Environment::new();
        let whole = SyntaxConfig::builder().keep_trailing_newline(true).build();
        environment.set_syntax(whole.map_err(|e| e.to_string())?);
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_fuel(Some(FUEL));
        environment.set_recursion_limit(DEPTH_MAX);
        // Errors name what is not defined.
        environment.set_debug(true);
        // Shows the engine's inside, which need not be the same twice.
        environment.remove_global("debug");
        let printed = style.clone();
        environment.set_formatter(move |out, _, value| {
            let mut text = String::new();
            printed.print(value, &mut text)?;
            out.write_str(&text).map_err(Error::from)
        });
        let numbers = style.clone();
        environment.add_filter("number", move |value: Value| numbers.number(&value));
        environment.add_filter("printf", printf);
        environment.add_filter("quoted", quoted);
        let zone = zone.clone();
        environment.add_filter("strftime", move |time: Value, format: &str| strftime(&zone, &time, format));
        for part in Part::ALL {
            environment.add_template(part.name(), layout.part(part)).map_err(|e| place(part, &e))?;
        }
        Ok(Engine { environment })
    }

    /// Appends the text of a part; the error names part and line.
    pub(super) fn render(&self, part: Part, scope: Value, out: &mut String) -> Result<(), String> {
        let template = self.environment.get_template(part.name()).map_err(|e| place(part, &e))?;
        let text = template.render(scope).map_err(|e| place(part, &e))?;
        if text.len() > PART_BYTES_MAX {
            return Err(format!("{}: it has more than {PART_BYTES_MAX} bytes of text", part.name()));
        }
        out.push_str(&text);
        Ok(())
    }
}

/// What is wrong, and where in a layout.
fn place(part: Part, error: &Error) -> String {
    let what = match (error.kind(), error.detail()) {
        (ErrorKind::OutOfFuel, _) => format!("it takes more than {FUEL} steps"),
        (ErrorKind::InvalidOperation | ErrorKind::SyntaxError, Some(detail)) => detail.to_owned(),
        (kind, Some(detail)) => format!("{kind}: {detail}"),
        (kind, None) => kind.to_string(),
    };
    match error.line() {
        Some(line) => format!("{}, line {line}: {what}", part.name()),
        None => format!("{}: {what}", part.name()),
    }
}

fn refused(why: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, why)
}

impl Style {
    /// What `{{ value }}` becomes.
    fn print(&self, value: &Value, out: &mut String) -> Result<(), Error> {
        if let Some(time) = value.downcast_object_ref::<Instant>() {
            return self.push_text(&time.text, out);
        }
        match value.kind() {
            ValueKind::None => self.push_text(&self.null, out),
            ValueKind::Number if value.is_integer() => {
                out.push_str(&value.to_string());
                Ok(())
            }
            ValueKind::Number => {
                push_number(finite(value)?, self.decimals, out);
                Ok(())
            }
            ValueKind::String if value.is_safe() => {
                out.push_str(value.as_str().unwrap_or_default());
                Ok(())
            }
            ValueKind::String => self.push_text(value.as_str().unwrap_or_default(), out),
            kind => Err(refused(format!("{kind} cannot be printed, only a text, a number or a time"))),
        }
    }

    /// A number as text, for where it is put together with other text.
    fn number(&self, value: &Value) -> Result<String, Error> {
        let mut text = String::new();
        match value.kind() {
            ValueKind::None | ValueKind::Number => {
                Style { escape: Escape::None, ..self.clone() }.print(value, &mut text).map(|()| text)
            }
            kind => Err(refused(format!("number is for numbers, not for {kind}"))),
        }
    }

    fn push_text(&self, text: &str, out: &mut String) -> Result<(), Error> {
        match self.escape {
            Escape::None => out.push_str(text),
            Escape::Csv => match text.contains(['"', ',', ';', '\t', '\r', '\n']) {
                true => push_quoted(text, out),
                false => out.push_str(text),
            },
            Escape::Xml => match forbidden(text) {
                Some(c) => return Err(refused(format!("{text:?} holds {c:?}, which XML 1.0 forbids"))),
                None => push_escaped(text, out),
            },
            Escape::Form => push_form(text, out),
        }
        Ok(())
    }
}

fn finite(value: &Value) -> Result<f64, Error> {
    f64::try_from(value.clone())
        .ok()
        .filter(|number| number.is_finite())
        .ok_or_else(|| refused(format!("{value} is not a finite number")))
}

fn push_quoted(text: &str, out: &mut String) {
    out.push('"');
    out.push_str(&text.replace('"', "\"\""));
    out.push('"');
}

/// URL Standard, `application/x-www-form-urlencoded`; what it does not name is escaped too where it may be.
fn push_form(text: &str, out: &mut String) {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
}

/// `value|printf("%.3f")`, as C's; a null stays one.
fn printf(value: Value, template: &str) -> Result<Value, Error> {
    if value.is_none() {
        return Ok(value);
    }
    if value.kind() == ValueKind::Number {
        finite(&value)?;
    }
    // The widest that anybody needs; the engine's own limit is its memory.
    let widest =
        template.split(|c: char| !c.is_ascii_digit()).map(|digits| digits.trim_start_matches('0').len());
    if widest.max().unwrap_or(0) > 2 {
        return Err(refused(format!("{template:?} asks for more than 99 places")));
    }
    let value = if is_whole(template) { whole(value)? } else { value };
    let text = format(FormatStyle::Printf, template, std::slice::from_ref(&value))?;
    // What rounds to zero is 0, never -0.
    let is_negative_zero = value.kind() == ValueKind::Number
        && text.contains("-0")
        && !text.contains(|c: char| matches!(c, '1'..='9') || c.is_ascii_alphabetic());
    if is_negative_zero {
        return format(FormatStyle::Printf, template, &[Value::from(0.0)]).map(Value::from);
    }
    Ok(Value::from(text))
}

/// Whether a conversion is of whole numbers.
fn is_whole(template: &str) -> bool {
    let template = template.replace("%%", "");
    let conversion = template.split('%').nth(1).and_then(|spec| spec.chars().find(char::is_ascii_alphabetic));
    matches!(conversion, Some('d' | 'i'))
}

/// A number without its fraction, as C's `%d` cuts it.
fn whole(value: Value) -> Result<Value, Error> {
    let number = match value.kind() {
        ValueKind::Number if !value.is_integer() => finite(&value)?.trunc(),
        _ => return Ok(value),
    };
    match number.abs() < 1e18 {
        true => Ok(Value::from(number as i64)),
        false => Err(refused(format!("{number} is too large for %d"))),
    }
}

/// `text|quoted`, RFC 4180, whether it needs to be or not; a null stays one.
fn quoted(value: Value) -> Result<Value, Error> {
    match (value.kind(), value.as_str()) {
        (ValueKind::None, _) => Ok(value),
        (_, Some(text)) => {
            let mut out = String::with_capacity(text.len() + 2);
            push_quoted(text, &mut out);
            Ok(Value::from_safe_string(out))
        }
        (kind, None) => {
            Err(refused(format!("quoted is for text, not for {kind}; number and printf make text")))
        }
    }
}

/// `time|strftime("%H:%M")`, in the layout's zone.
fn strftime(zone: &Zone, time: &Value, format: &str) -> Result<String, Error> {
    let Some(time) = time.downcast_object_ref::<Instant>() else {
        return Err(refused(format!("strftime is for times, not for {}", time.kind())));
    };
    Zone::check_strftime(format).map_err(refused)?;
    Ok(zone.format(time.time, format))
}

/// A time, which prints as the job's `timestamp_format` says.
#[derive(Debug)]
pub(super) struct Instant {
    pub(super) time: Timestamp,
    pub(super) text: String,
}

impl Object for Instant {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What a template, or a part of it, can name.
#[derive(Debug)]
pub(super) struct Fields(pub(super) Vec<(&'static str, Value)>);

impl Object for Fields {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        self.0.iter().find(|(name, _)| *name == key).map(|(_, value)| value.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(escape: Escape, decimals: Option<i64>, value: Value) -> Result<String, String> {
        let decimals = decimals.map(|n| Decimals::try_from(n).unwrap());
        let mut text = String::new();
        let style = Style { escape, null: "n & a".into(), decimals };
        style.print(&value, &mut text).map(|()| text).map_err(|e| e.to_string())
    }

    #[test]
    fn prints_by_kind_and_escapes_text() {
        for (escape, value, expect) in [
            (Escape::None, Value::from("a,\"b\""), "a,\"b\""),
            (Escape::Csv, Value::from("a,\"b\""), "\"a,\"\"b\"\"\""),
            (Escape::Csv, Value::from("a b"), "a b"),
            (Escape::Csv, Value::from_safe_string("a,b".into()), "a,b"),
            (Escape::Xml, Value::from("<&\"\n>"), "&lt;&amp;&quot;&#10;&gt;"),
            (Escape::Form, Value::from("ü =&/~*"), "%C3%BC+%3D%26%2F%7E%2A"),
            (Escape::Xml, Value::from(()), "n &amp; a"),
            (Escape::Csv, Value::from(71.0), "71"),
            (Escape::Csv, Value::from(0.1 + 0.2), "0.30000000000000004"),
            (Escape::Csv, Value::from(-0.0), "0"),
            (Escape::Csv, Value::from(7), "7"),
        ] {
            assert_eq!(printed(escape, None, value), Ok(expect.to_owned()));
        }
        assert_eq!(printed(Escape::None, Some(2), Value::from(1.0)), Ok("1.00".to_owned()));
        assert_eq!(printed(Escape::None, Some(2), Value::from(1)), Ok("1".to_owned()));
        for bad in [Value::from(f64::NAN), Value::from(vec![1]), Value::UNDEFINED] {
            assert!(printed(Escape::None, None, bad).is_err());
        }
        assert!(printed(Escape::Xml, None, Value::from("\u{1}")).is_err());
    }

    #[test]
    fn printf_as_c_has_it() {
        let shown =
            |value: f64, template: &str| printf(Value::from(value), template).map(|text| text.to_string());
        for (value, template, expect) in [
            (12.5, "%14.3f", "        12.500"),
            (12.5, "%d", "12"),
            (-12.5, "%d", "-12"),
            (-0.4, "%d", "0"),
            (-0.0004, "%.3f", "0.000"),
            (-0.0004, "%6.3f", " 0.000"),
            (-0.0006, "%.3f", "-0.001"),
            (5.0, "%06.1f", "0005.0"),
            (5.0, "%+.1f", "+5.0"),
            (1234.5, "%.2e", "1.23e+03"),
        ] {
            assert_eq!(shown(value, template).unwrap(), expect, "{value} {template}");
        }
        assert_eq!(printf(Value::from("kW"), "%5s").unwrap().as_str(), Some("   kW"));
        assert!(printf(Value::from(()), "%.3f").unwrap().is_none());
        for bad in ["%", "%q", "%f %f", "%1000f", "%.100f"] {
            assert!(shown(1.0, bad).is_err(), "{bad}");
        }
        assert!(shown(f64::INFINITY, "%f").is_err());
    }
}
