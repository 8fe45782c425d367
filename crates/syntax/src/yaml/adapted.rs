//! Layouts that YAML 1.1 parsers accept and `saphyr-parser` rejects: in brackets and quotes, lines at or before the column of their key;
//! and a comment directly after a quote or bracket.
//!
//! CloudFormation, PyYAML and cfn-lint read them, and people write them (`Action: [` with `]` in the column of `Action`). This inserts
//! blanks where the parser demands them; positions are converted back, so that diagnostics have those of the file.

use crate::diagnostic::Position;

#[cfg(test)]
mod tests;

/// A text with inserted blanks.
pub(super) struct Adapted {
    /// The text for the parser.
    pub(super) text: String,
    inserted: Vec<Insertion>,
}

/// Blanks that the file does not have.
struct Insertion {
    /// The position of the first blank in the adapted text.
    at: Position,
    blanks: usize,
}

impl Adapted {
    /// Returns the adapted text; `None` if nothing can be adapted.
    pub(super) fn of(text: &str) -> Option<Self> {
        let mut scanner = Scanner::new(text);
        scanner.scan()?;
        scanner.copy_rest();
        (!scanner.inserted.is_empty()).then_some(Self { text: scanner.out, inserted: scanner.inserted })
    }

    /// Returns the position in the file of a position in the adapted text.
    pub(super) fn original(&self, at: Position) -> Position {
        let first = self.inserted.partition_point(|insertion| insertion.at.line < at.line);
        let of_line = self.inserted.iter().skip(first).take_while(|insertion| insertion.at.line == at.line);
        let before = of_line.take_while(|insertion| insertion.at.column < at.column);
        let blanks: usize = before.map(|insertion| insertion.blanks.min(at.column - insertion.at.column)).sum();
        Position { column: at.column - blanks, ..at }
    }
}

/// Finds quotes, brackets, comments and block scalars, with the indentation rules of YAML 1.1 ("Scanner" of PyYAML).
struct Scanner<'t> {
    text: &'t str,
    /// The byte offset of the next character.
    next: usize,
    /// The byte offset up to which the text was copied.
    copied: usize,
    line: usize,
    /// The column of the next character, from 0.
    column: usize,
    /// The columns of the open block lists and mappings.
    indents: Vec<usize>,
    /// The column of the last token, if it can be a key.
    key: Option<usize>,
    out: String,
    inserted: Vec<Insertion>,
    /// Blanks inserted in the current line.
    shift: usize,
}

impl<'t> Scanner<'t> {
    fn new(text: &'t str) -> Self {
        Self {
            text,
            next: 0,
            copied: 0,
            line: 1,
            column: 0,
            indents: Vec::new(),
            key: None,
            out: String::new(),
            inserted: Vec::new(),
            shift: 0,
        }
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.next..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Whether the next character is this indicator, with a blank or the end of the line after it.
    fn is_indicator(&self, indicator: char) -> bool {
        let mut characters = self.rest().chars();
        characters.next() == Some(indicator) && characters.next().is_none_or(char::is_whitespace)
    }

    /// Passes one character.
    fn step(&mut self) {
        let mut characters = self.rest().chars();
        let Some(c) = characters.next() else { return };
        self.next += c.len_utf8();
        if c == '\n' || (c == '\r' && characters.next() != Some('\n')) {
            (self.line, self.column, self.shift) = (self.line + 1, 0, 0);
        } else {
            self.column += 1;
        }
    }

    fn step_while(&mut self, is_part: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&is_part) {
            self.step();
        }
    }

    fn copy_rest(&mut self) {
        self.out.push_str(self.text.get(self.copied..).unwrap_or_default());
        self.copied = self.text.len();
    }

    /// Inserts blanks here. `None` above the limit: the blanks of a hostile file would exceed its text by far.
    fn insert(&mut self, blanks: usize) -> Option<()> {
        self.out.push_str(self.text.get(self.copied..self.next)?);
        self.copied = self.next;
        if self.out.len() + blanks > self.text.len().saturating_mul(4).saturating_add(4_096) {
            return None;
        }
        self.out.extend(std::iter::repeat_n(' ', blanks));
        let at = Position { line: self.line, column: self.column + self.shift + 1 };
        self.inserted.push(Insertion { at, blanks });
        self.shift += blanks;
        Some(())
    }

    /// Scans a document in block style.
    fn scan(&mut self) -> Option<()> {
        while let Some(c) = self.peek() {
            match c {
                ' ' | '\t' => self.step(),
                '\n' | '\r' => {
                    self.step();
                    self.key = None;
                }
                '#' => self.comment()?,
                _ if self.is_marker() => {
                    self.indents.clear();
                    self.step_while(|c| matches!(c, '-' | '.'));
                }
                '%' if self.column == 0 => self.step_while(|c| !matches!(c, '\n' | '\r')),
                _ => self.token(c)?,
            }
        }
        Some(())
    }

    /// Whether a document marker is next, which ends everything.
    fn is_marker(&self) -> bool {
        let rest = self.rest();
        let after = rest.strip_prefix("---").or_else(|| rest.strip_prefix("..."));
        self.column == 0 && after.is_some_and(|after| after.chars().next().is_none_or(char::is_whitespace))
    }

    fn token(&mut self, first: char) -> Option<()> {
        let column = self.column;
        while self.indents.last().is_some_and(|indent| *indent > column) {
            self.indents.pop();
        }
        match first {
            '-' | '?' if self.is_indicator(first) => {
                self.open(column);
                self.step();
                self.key = None;
            }
            ':' if self.is_indicator(':') => {
                if let Some(key) = self.key.take() {
                    self.open(key);
                }
                self.step();
            }
            '"' | '\'' => {
                self.key.get_or_insert(column);
                self.quoted(first)?;
            }
            '[' | '{' => {
                self.key.get_or_insert(column);
                self.brackets()?;
            }
            '|' | '>' => self.block_scalar(),
            '!' | '&' | '*' => {
                self.key.get_or_insert(column);
                self.step_while(|c| !c.is_whitespace());
            }
            _ => {
                self.key.get_or_insert(column);
                self.plain();
            }
        }
        Some(())
    }

    /// Opens a block list or mapping, unless it is open.
    fn open(&mut self, column: usize) {
        if self.indents.last().is_none_or(|indent| *indent < column) {
            self.indents.push(column);
        }
    }

    /// Passes a comment; PyYAML needs no blank before it.
    fn comment(&mut self) -> Option<()> {
        let before = self.text.get(..self.next).and_then(|before| before.chars().next_back());
        if before.is_some_and(|before| !before.is_whitespace()) {
            self.insert(1)?;
        }
        self.step_while(|c| !matches!(c, '\n' | '\r'));
        Some(())
    }

    /// Passes a scalar without quotes, which goes on in lines that are indented deeper than the block.
    fn plain(&mut self) {
        let column = self.indents.last().map_or(0, |indent| indent + 1);
        loop {
            let mut before = ' ';
            while let Some(c) = self.peek().filter(|c| !matches!(c, '\n' | '\r')) {
                if self.is_indicator(':') || (c == '#' && before.is_whitespace()) {
                    return;
                }
                before = c;
                self.step();
            }
            // Blank lines are part of it.
            let rest = self.rest();
            let text = rest.trim_start_matches([' ', '\n', '\r']);
            let blanks = rest.get(..rest.len() - text.len()).unwrap_or_default();
            let width = blanks.rsplit(['\n', '\r']).next().map_or(0, str::len);
            if text.is_empty() || text.starts_with(['#', '\t']) || width < column || (width == 0 && starts_marker(text))
            {
                return;
            }
            // A key on the next line is an error or another scalar; it is scanned as one.
            self.key = None;
            self.step_while(|c| matches!(c, ' ' | '\n' | '\r'));
        }
    }

    /// Passes a block scalar: lines that are indented deeper than the block.
    fn block_scalar(&mut self) {
        let least = self.indents.last().map_or(1, |indent| indent + 1);
        let mut indent = None;
        while let Some(c) = self.peek().filter(|c| !matches!(c, '\n' | '\r')) {
            if c == '#' {
                self.step_while(|c| !matches!(c, '\n' | '\r'));
            } else {
                indent = c.to_digit(10).map(|digit| least + digit as usize - 1).or(indent);
                self.step();
            }
        }
        self.key = None;
        loop {
            self.step();
            if self.column > 0 {
                // A carriage return was passed, and its line feed follows.
                self.step();
            }
            let rest = self.rest();
            let width = rest.len() - rest.trim_start_matches(' ').len();
            let is_blank = rest.get(width..).is_none_or(|line| line.is_empty() || line.starts_with(['\n', '\r']));
            if rest.is_empty() || (!is_blank && width < *indent.get_or_insert(width.max(least))) {
                return;
            }
            self.step_while(|c| !matches!(c, '\n' | '\r'));
        }
    }

    /// Passes a quoted scalar, of which each line is indented.
    fn quoted(&mut self, quote: char) -> Option<()> {
        self.step();
        while let Some(c) = self.peek() {
            self.step();
            if c == '\\' && quote == '"' && !matches!(self.peek(), Some('\n' | '\r')) {
                self.step();
            } else if c == quote {
                if quote == '"' || self.peek() != Some('\'') {
                    return Some(());
                }
                self.step();
            } else if self.column == 0 {
                self.indent_line(true)?;
            }
        }
        Some(())
    }

    /// Passes a list or mapping in brackets, of which each line is indented.
    fn brackets(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        while let Some(c) = self.peek() {
            match c {
                '"' | '\'' => self.quoted(c)?,
                '#' => self.comment()?,
                '!' | '&' | '*' => self.step_while(|c| !c.is_whitespace() && !matches!(c, ',' | ']' | '}')),
                '[' | '{' | ']' | '}' | ',' | ':' => {
                    self.step();
                    match c {
                        '[' | '{' => depth += 1,
                        ']' | '}' => depth = depth.saturating_sub(1),
                        _ => {}
                    }
                    if depth == 0 {
                        return Some(());
                    }
                }
                _ if c.is_whitespace() => self.step_in_brackets()?,
                _ => self.plain_in_brackets()?,
            }
        }
        Some(())
    }

    /// Passes a scalar without quotes in brackets. Quotes in it are characters, and it goes on in any line.
    fn plain_in_brackets(&mut self) -> Option<()> {
        let ends = |c: char| matches!(c, ',' | '[' | ']' | '{' | '}');
        let mut before = 'x';
        while let Some(c) = self.peek() {
            let after = self.rest().chars().nth(1);
            let is_key = c == ':' && after.is_none_or(|after| after.is_whitespace() || ends(after));
            if ends(c) || is_key || (c == '#' && before.is_whitespace()) {
                break;
            }
            before = c;
            self.step_in_brackets()?;
        }
        Some(())
    }

    fn step_in_brackets(&mut self) -> Option<()> {
        self.step();
        if self.column == 0 { self.indent_line(false) } else { Some(()) }
    }

    /// Indents this line within brackets or quotes deeper than the block. A tab is an error of its own in brackets.
    fn indent_line(&mut self, is_quoted: bool) -> Option<()> {
        let Some(indent) = self.indents.last() else { return Some(()) };
        let needed = indent + 4;
        let rest = self.rest();
        let text = rest.trim_start_matches(' ');
        let width = rest.len() - text.len();
        let is_other = text.is_empty() || text.starts_with(['\n', '\r']) || (width == 0 && starts_marker(text));
        if is_other || width >= needed || (!is_quoted && text.starts_with('\t')) {
            return Some(());
        }
        self.insert(needed - width)
    }
}

fn starts_marker(text: &str) -> bool {
    let after = text.strip_prefix("---").or_else(|| text.strip_prefix("..."));
    after.is_some_and(|after| after.chars().next().is_none_or(char::is_whitespace))
}
