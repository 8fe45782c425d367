//! The encodings of AWS's protocols: forms, XML of the Query protocol, and errors.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use quick_xml::Reader;
use quick_xml::escape::{escape, unescape};
use quick_xml::events::Event;
use serde_json::{Value, json};

use crate::http::HttpResponse;
use crate::ids;

/// The namespace of CloudFormation's Query protocol.
pub const CLOUDFORMATION_NAMESPACE: &str = "http://cloudformation.amazonaws.com/doc/2010-05-15/";

/// All characters but the unreserved ones of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Encodes all characters but the unreserved ones as `%XX`.
pub fn percent_encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Decodes `%XX` in a path; malformed escapes stay.
pub fn percent_decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The parameters of a Query request, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form(pub Vec<(String, String)>);

impl Form {
    /// Parses an `application/x-www-form-urlencoded` text.
    pub fn parse(text: &str) -> Self {
        Self(form_urlencoded::parse(text.as_bytes()).into_owned().collect())
    }

    /// Serializes the form.
    pub fn encode(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.0).finish()
    }

    /// Returns the first parameter of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Sets a parameter, in place of all parameters that [`Form::remove`] removes.
    pub fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.0.push((name.to_owned(), value.to_owned()));
    }

    /// Removes a parameter and its members (`name.…`).
    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(key, _)| !is_of(key, name));
    }

    /// Whether the form has this parameter or a member of it (`name.…`).
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(key, _)| is_of(key, name))
    }

    /// Returns the members of a list of texts: `name.member.1`, `name.member.2`, …
    pub fn list(&self, name: &str) -> Vec<String> {
        (1..).map_while(|n| self.get(&format!("{name}.member.{n}")).map(str::to_owned)).collect()
    }

    /// Returns two fields of each member of a list of structures (`name.member.1.key`); `None` where a member lacks the value.
    pub fn pairs(&self, name: &str, key: &str, value: &str) -> Vec<(&str, Option<&str>)> {
        let field = |n: usize, field: &str| self.get(&format!("{name}.member.{n}.{field}"));
        (1..).map_while(|n| Some((field(n, key)?, field(n, value)))).collect()
    }
}

fn is_of(key: &str, name: &str) -> bool {
    key.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Escapes text for XML.
pub fn xml_escape(text: &str) -> String {
    escape(text).into_owned()
}

/// Resolves the references of XML text; text with an invalid reference stays as it is.
pub fn xml_unescape(text: &str) -> String {
    unescape(text).map_or_else(|_| text.to_owned(), |plain| plain.into_owned())
}

/// Returns the contents, still escaped, of the outermost elements of this name; those before the first syntax error.
pub fn xml_elements<'a>(xml: &'a str, name: &str) -> Vec<&'a str> {
    let mut reader = Reader::from_str(xml);
    let mut contents = Vec::new();
    loop {
        match reader.read_event() {
            Ok(Event::Start(start)) if start.name().as_ref() == name.as_bytes() => {
                let Ok(span) = reader.read_to_end(start.name()) else { return contents };
                let range = usize::try_from(span.start).ok().zip(usize::try_from(span.end).ok());
                contents.extend(range.and_then(|(from, to)| xml.get(from..to)));
            }
            Ok(Event::Empty(empty)) if empty.name().as_ref() == name.as_bytes() => contents.push(""),
            Ok(Event::Eof) | Err(_) => return contents,
            Ok(_) => {}
        }
    }
}

/// Returns the text of the first element of this name, unescaped.
pub fn xml_text(xml: &str, name: &str) -> Option<String> {
    xml_elements(xml, name).first().map(|content| xml_unescape(content.trim()))
}

/// Creates the response of a Query operation; `inside` is the XML of its result element.
pub fn query_response(operation: &str, inside: &str) -> HttpResponse {
    let body = format!(
        "<{operation}Response xmlns=\"{CLOUDFORMATION_NAMESPACE}\"><{operation}Result>{inside}</{operation}Result>\
         <ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></{operation}Response>",
        ids::uuid()
    );
    HttpResponse::new(200, "text/xml", body)
}

/// Creates an error of a Query service.
pub fn query_error(status: u16, code: &str, message: &str) -> HttpResponse {
    let kind = if status >= 500 { "Receiver" } else { "Sender" };
    let request = ids::uuid();
    let body = format!(
        "<ErrorResponse xmlns=\"{CLOUDFORMATION_NAMESPACE}\"><Error><Type>{kind}</Type><Code>{}</Code><Message>{}</Message>\
         </Error><RequestId>{request}</RequestId></ErrorResponse>",
        xml_escape(code),
        xml_escape(message)
    );
    HttpResponse::new(status, "text/xml", body).header("x-amzn-requestid", &request)
}

/// Creates the response of a JSON operation.
pub fn json_response(body: &Value) -> HttpResponse {
    HttpResponse::new(200, "application/x-amz-json-1.1", body.to_string()).header("x-amzn-requestid", &ids::uuid())
}

/// Creates an error of a JSON service.
pub fn json_error(status: u16, code: &str, message: &str) -> HttpResponse {
    let body = json!({"__type": code, "message": message}).to_string();
    HttpResponse::new(status, "application/x-amz-json-1.1", body)
        .header("x-amzn-errortype", code)
        .header("x-amzn-requestid", &ids::uuid())
}

#[cfg(test)]
mod tests;
