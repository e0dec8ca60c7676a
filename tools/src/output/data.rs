//! Results as data: JSON and YAML with the fields in the order of the columns.

use serde_json::Value;

/// What a program reads.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    /// A value, or a short list of values.
    Leaf(Value),
    /// Some of a kind.
    List(Vec<Data>),
    /// Fields in order.
    Object(Vec<(&'static str, Data)>),
}

impl Data {
    /// JSON with an indentation of two, and a newline at its end.
    pub(crate) fn json(&self) -> String {
        let mut out = String::new();
        self.write_json(&mut out, 0);
        out.push('\n');
        out
    }

    fn write_json(&self, out: &mut String, depth: usize) {
        let mut block = |open, close, count: usize, item: &mut dyn FnMut(&mut String, usize)| {
            out.push(open);
            for n in 0..count {
                out.push_str(if n == 0 { "\n" } else { ",\n" });
                indent(out, depth + 1);
                item(out, n);
            }
            if count > 0 {
                out.push('\n');
                indent(out, depth);
            }
            out.push(close);
        };
        match self {
            Self::Leaf(value) => out.push_str(&value.to_string()),
            Self::List(list) => {
                block('[', ']', list.len(), &mut |out, n| list[n].write_json(out, depth + 1));
            }
            Self::Object(fields) => block('{', '}', fields.len(), &mut |out, n| {
                let (name, field) = &fields[n];
                out.push_str(&Value::from(*name).to_string());
                out.push_str(": ");
                field.write_json(out, depth + 1);
            }),
        }
    }

    /// YAML, block style.
    pub(crate) fn yaml(&self) -> String {
        let mut out = String::new();
        self.write_yaml(&mut out, 0);
        out
    }

    /// Writes it where a line begins, or behind `- `.
    fn write_yaml(&self, out: &mut String, depth: usize) {
        match self {
            Self::List(list) if !list.is_empty() => {
                for (n, item) in list.iter().enumerate() {
                    if n > 0 {
                        indent(out, depth);
                    }
                    out.push_str("- ");
                    item.write_yaml(out, depth + 1);
                }
            }
            Self::Object(fields) if !fields.is_empty() => {
                for (n, (name, field)) in fields.iter().enumerate() {
                    if n > 0 {
                        indent(out, depth);
                    }
                    out.push_str(&scalar(name));
                    out.push(':');
                    if field.is_block() {
                        out.push('\n');
                        indent(out, depth + 1);
                        field.write_yaml(out, depth + 1);
                    } else {
                        out.push(' ');
                        field.write_yaml(out, depth + 1);
                    }
                }
            }
            Self::List(_) => out.push_str("[]\n"),
            Self::Object(_) => out.push_str("{}\n"),
            Self::Leaf(Value::String(text)) => {
                out.push_str(&scalar(text));
                out.push('\n');
            }
            // JSON is YAML too.
            Self::Leaf(value) => {
                out.push_str(&value.to_string());
                out.push('\n');
            }
        }
    }

    fn is_block(&self) -> bool {
        match self {
            Self::Leaf(_) => false,
            Self::List(list) => !list.is_empty(),
            Self::Object(fields) => !fields.is_empty(),
        }
    }
}

fn indent(out: &mut String, depth: usize) {
    for _ in 0..depth {
        out.push_str("  ");
    }
}

/// A text as YAML takes it for one: plain where it can only be a text, else as in JSON.
fn scalar(text: &str) -> String {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let begins = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    let lower = text.to_ascii_lowercase();
    let reserved = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];
    if begins && text.chars().all(is_word) && !reserved.contains(&lower.as_str()) {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    }
}
