//! Just enough HTML to press buttons: our own pages are simple, and the real judge of them is Chromium.

/// A form of a page.
#[derive(Clone, Debug)]
pub struct Form {
    pub method: String,
    pub action: String,
    pub fields: Vec<(String, String)>,
    /// Name, value and text of its buttons.
    pub buttons: Vec<(String, String, String)>,
}

impl Form {
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// The first form of a page.
pub fn form(page: &str) -> Option<Form> {
    let (_, rest) = page.split_once("<form")?;
    let (tag, rest) = rest.split_once('>')?;
    let (inside, _) = rest.split_once("</form>")?;
    let fields = inside
        .split("<input")
        .skip(1)
        .filter_map(|part| part.split_once('>'))
        .filter_map(|(tag, _)| Some((attribute(tag, "name")?, attribute(tag, "value").unwrap_or_default())))
        .collect();
    let buttons = inside
        .split("<button")
        .skip(1)
        .filter_map(|part| part.split_once('>'))
        .map(|(tag, rest)| {
            let text = rest.split("</button>").next().unwrap_or_default();
            (attribute(tag, "name").unwrap_or_default(), attribute(tag, "value").unwrap_or_default(), unescape(&without_tags(text)))
        })
        .collect();
    Some(Form {
        method: attribute(tag, "method").unwrap_or_else(|| "get".to_owned()),
        action: attribute(tag, "action").unwrap_or_default(),
        fields,
        buttons,
    })
}

/// What a button says, without the elements in it.
fn without_tags(text: &str) -> String {
    let mut parts = text.split('<');
    let first = parts.next().unwrap_or_default();
    let rest = parts.filter_map(|part| part.split_once('>')).map(|(_, text)| text);
    std::iter::once(first).chain(rest).collect::<String>().trim().to_owned()
}

/// Does the page send its form by itself?
pub fn sends_itself(page: &str) -> bool {
    page.contains("<script") && page.contains(".submit()")
}

/// Where the links of a page lead, with their texts.
pub fn links(page: &str) -> Vec<(String, String)> {
    page.split("<a ")
        .skip(1)
        .filter_map(|part| part.split_once('>'))
        .filter_map(|(tag, rest)| Some((attribute(tag, "href")?, unescape(rest.split("</a>").next()?))))
        .collect()
}

/// A double-quoted attribute of a tag.
pub fn attribute(tag: &str, name: &str) -> Option<String> {
    let marker = format!("{name}=\"");
    let start = tag
        .match_indices(&marker)
        .find(|(at, _)| *at == 0 || tag[..*at].ends_with(char::is_whitespace))
        .map(|(at, _)| at + marker.len())?;
    tag[start..].split_once('"').map(|(value, _)| unescape(value))
}

/// Character references as HTML, XML and askama write them.
pub fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let Some((name, tail)) = after.split_once(';') else {
            out.push('&');
            rest = after;
            continue;
        };
        let number = name.strip_prefix("#x").map(|hex| u32::from_str_radix(hex, 16)).or_else(|| name.strip_prefix('#').map(str::parse));
        match (name, number) {
            ("amp", _) => out.push('&'),
            ("lt", _) => out.push('<'),
            ("gt", _) => out.push('>'),
            ("quot", _) => out.push('"'),
            ("apos", _) => out.push('\''),
            (_, Some(Ok(code))) => out.push(char::from_u32(code).unwrap_or('?')),
            _ => panic!("an unknown character reference: {name}"),
        }
        rest = tail;
    }
    out + rest
}

/// Text as an attribute value or character data.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[test]
fn a_form_is_read_as_a_browser_reads_it() {
    let page = r#"<form method="post" action="/x?a=1&#38;b=2"><input type="hidden" name="n" value="&#60;&quot;&amp;amp;"><button name="c" value="d">Go &gt;</button></form>"#;
    let form = form(page).expect("a form");
    assert_eq!((form.method.as_str(), form.action.as_str()), ("post", "/x?a=1&b=2"));
    assert_eq!(form.field("n"), Some("<\"&amp;"));
    assert_eq!(form.buttons, [("c".to_owned(), "d".to_owned(), "Go >".to_owned())]);
}
