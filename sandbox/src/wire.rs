//! The encodings of AWS's protocols: forms, XML as AWS Query writes it, base64, and errors.

use serde_json::{Value, json};

use crate::http::Response;
use crate::ids;

/// The namespace of CloudFormation's Query protocol.
pub const CLOUDFORMATION_NAMESPACE: &str = "http://cloudformation.amazonaws.com/doc/2010-05-15/";

/// Encodes everything but unreserved characters as `%XX`.
#[must_use]
pub fn percent_encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Decodes `%XX`, and `+` as a space; malformed escapes stay as they are.
#[must_use]
pub fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        match (bytes[at], escape.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                decoded.push(byte);
                at += 2;
            }
            (b'+', _) => decoded.push(b' '),
            (byte, _) => decoded.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// The parameters of a Query request, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form(pub Vec<(String, String)>);

impl Form {
    /// Reads an `application/x-www-form-urlencoded` text.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (percent_decode(name), percent_decode(value))
        });
        Self(pairs.collect())
    }

    /// Writes the form.
    #[must_use]
    pub fn encode(&self) -> String {
        let pairs = self.0.iter().map(|(name, value)| format!("{}={}", percent_encode(name), percent_encode(value)));
        pairs.collect::<Vec<_>>().join("&")
    }

    /// The first parameter of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Sets a parameter, replacing it where it is there.
    pub fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.0.push((name.to_owned(), value.to_owned()));
    }

    /// Removes a parameter, and with it everything below it (`name.…`).
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(key, _)| key != name && !key.starts_with(&format!("{name}.")));
    }

    /// The members of a list of texts: `name.member.1`, `name.member.2`, …
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<String> {
        (1..).map_while(|n| self.get(&format!("{name}.member.{n}")).map(str::to_owned)).collect()
    }

    /// The `ParameterKey` and `ParameterValue` members of a list, those with a value.
    #[must_use]
    pub fn parameters(&self, name: &str) -> Vec<(String, String)> {
        let keys = (1..).map_while(|n| Some((n, self.get(&format!("{name}.member.{n}.ParameterKey"))?)));
        keys.filter_map(|(n, key)| {
            let value = self.get(&format!("{name}.member.{n}.ParameterValue"))?;
            Some((key.to_owned(), value.to_owned()))
        })
        .collect()
    }
}

/// Writes text so that XML leaves it alone.
#[must_use]
pub fn xml_escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// Undoes [`xml_escape`], and the numeric references that serialisers write for line ends.
#[must_use]
pub fn xml_unescape(text: &str) -> String {
    let named = [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&apos;", "'"),
        ("&#10;", "\n"),
        ("&#13;", "\r"),
        ("&#xA;", "\n"),
        ("&#xD;", "\r"),
        ("&#x27;", "'"),
        ("&#39;", "'"),
        ("&#34;", "\""),
    ];
    named
        .iter()
        .fold(text.to_owned(), |text, (escape, character)| text.replace(escape, character))
        .replace("&amp;", "&")
}

/// The contents, still escaped, of every element of this name, outermost ones only.
#[must_use]
pub fn xml_elements<'a>(xml: &'a str, name: &str) -> Vec<&'a str> {
    let mut found = Vec::new();
    let mut rest = xml;
    while let Some((inside, after)) = next_element(rest, name) {
        found.push(inside);
        rest = after;
    }
    found
}

/// The text of the first element of this name, unescaped.
#[must_use]
pub fn xml_text(xml: &str, name: &str) -> Option<String> {
    next_element(xml, name).map(|(inside, _)| xml_unescape(inside.trim()))
}

fn next_element<'a>(xml: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    let start = tag(xml, &format!("<{name}"))?;
    let opened = start + xml[start..].find('>')? + 1;
    if xml[..opened].ends_with("/>") {
        return Some(("", &xml[opened..]));
    }
    let (open, close) = (format!("<{name}"), format!("</{name}>"));
    let mut depth = 1;
    let mut at = opened;
    loop {
        let end = at + xml[at..].find(&close)?;
        depth += openings(&xml[at..end], &open);
        depth -= 1;
        if depth == 0 {
            return Some((&xml[opened..end], &xml[end + close.len()..]));
        }
        at = end + close.len();
    }
}

fn tag(xml: &str, open: &str) -> Option<usize> {
    let mut from = 0;
    while let Some(found) = xml[from..].find(open) {
        let at = from + found;
        if matches!(xml.as_bytes().get(at + open.len()), Some(b'>' | b' ' | b'/')) {
            return Some(at);
        }
        from = at + open.len();
    }
    None
}

fn openings(xml: &str, open: &str) -> usize {
    xml.match_indices(open).filter(|(at, _)| matches!(xml.as_bytes().get(at + open.len()), Some(b'>' | b' '))).count()
}

/// The answer of a Query operation: `inside` is the XML of its result element.
#[must_use]
pub fn query_response(operation: &str, inside: &str) -> Response {
    let body = format!(
        "<{operation}Response xmlns=\"{CLOUDFORMATION_NAMESPACE}\"><{operation}Result>{inside}</{operation}Result>\
         <ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></{operation}Response>",
        ids::uuid()
    );
    Response::new(200, "text/xml", body)
}

/// An error of a Query service.
#[must_use]
pub fn query_error(status: u16, code: &str, message: &str) -> Response {
    let kind = if status >= 500 { "Receiver" } else { "Sender" };
    let request = ids::uuid();
    let body = format!(
        "<ErrorResponse xmlns=\"{CLOUDFORMATION_NAMESPACE}\"><Error><Type>{kind}</Type><Code>{}</Code><Message>{}</Message>\
         </Error><RequestId>{request}</RequestId></ErrorResponse>",
        xml_escape(code),
        xml_escape(message)
    );
    Response::new(status, "text/xml", body).header("x-amzn-requestid", &request)
}

/// The answer of a JSON operation.
#[must_use]
pub fn json_response(body: &Value) -> Response {
    Response::new(200, "application/x-amz-json-1.1", body.to_string()).header("x-amzn-requestid", &ids::uuid())
}

/// An error of a JSON service.
#[must_use]
pub fn json_error(status: u16, code: &str, message: &str) -> Response {
    let body = json!({"__type": code, "message": message}).to_string();
    Response::new(status, "application/x-amz-json-1.1", body)
        .header("x-amzn-errortype", code)
        .header("x-amzn-requestid", &ids::uuid())
}

/// Base64 with padding, in one line.
#[must_use]
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let six = (group >> (18 - 6 * place)) & 63;
            text.push(if place <= chunk.len() { char::from(ALPHABET[six as usize]) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests;
