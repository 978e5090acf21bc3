//! Texts as people search for them: without case and without accents.

use std::collections::HashMap;
use std::sync::LazyLock;

/// Lower case, without accents, ligatures taken apart: what "Żółć", "zolc" and "ZÓŁC" have in common.
pub fn folded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() {
            out.push(c.to_ascii_lowercase());
            continue;
        }
        for lower in c.to_lowercase() {
            match BASES.get(&lower) {
                Some(base) => out.push_str(base),
                None if is_mark(lower) => {}
                None => out.push(lower),
            }
        }
    }
    out
}

/// The words of a folded text: runs of letters and digits. Where a script writes no spaces, a word may begin at every
/// character, so every rest of such a run counts.
pub(super) fn words(folded: &str, mut visit: impl FnMut(&str)) {
    for run in folded.split(|c: char| !c.is_alphanumeric()).filter(|run| !run.is_empty()) {
        visit(run);
        if run.chars().any(is_unspaced) {
            for (at, _) in run.char_indices().skip(1).take(UNSPACED) {
                visit(run.get(at..).unwrap_or_default());
            }
        }
    }
}

/// Beginnings within one run that has no spaces.
const UNSPACED: usize = 64;

/// Combining marks, as decomposed texts have them after the letter.
const fn is_mark(c: char) -> bool {
    matches!(c, '\u{300}'..='\u{36f}' | '\u{1ab0}'..='\u{1aff}' | '\u{1dc0}'..='\u{1dff}' | '\u{20d0}'..='\u{20ff}')
}

/// Ideographs, kana, Thai, Lao, Khmer, Myanmar.
const fn is_unspaced(c: char) -> bool {
    matches!(c, '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{3040}'..='\u{30ff}' | '\u{3400}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

static BASES: LazyLock<HashMap<char, &'static str>> =
    LazyLock::new(|| LETTERS.iter().flat_map(|(base, letters)| letters.chars().map(|letter| (letter, *base))).collect());

/// A base, and the small letters of Latin, Greek and Cyrillic that are it with something on or under it (Unicode 15,
/// canonical decomposition), and letters that people without them write so.
#[rustfmt::skip]
const LETTERS: &[(&str, &str)] = &[
    ("a", "àáâãäåāăąǎǟǡǻȁȃȧḁạảấầẩẫậắằẳẵặ"),
    ("ae", "æǣǽ"),
    ("b", "ḃḅḇ"),
    ("c", "çćĉċčƈḉ"),
    ("d", "ðďđḋḍḏḑḓ"),
    ("dz", "ǆǳ"),
    ("e", "èéêëēĕėęěǝȅȇȩḕḗḙḛḝẹẻẽếềểễệ"),
    ("f", "ḟ"),
    ("g", "ĝğġģǧǵḡ"),
    ("h", "ĥħȟḣḥḧḩḫẖ"),
    ("i", "ìíîïĩīĭįıǐȉȋḭḯỉị"),
    ("ij", "ĳ"),
    ("j", "ĵǰȷ"),
    ("k", "ķĸƙǩḱḳḵ"),
    ("l", "ĺļľŀłḷḹḻḽ"),
    ("lj", "ǉ"),
    ("m", "ḿṁṃ"),
    ("n", "ñńņňŉŋǹṅṇṉṋ"),
    ("nj", "ǌ"),
    ("o", "òóôõöøōŏőơǒǫǭǿȍȏȫȭȯȱṍṏṑṓọỏốồổỗộớờởỡợ"),
    ("oe", "œ"),
    ("p", "ṕṗ"),
    ("r", "ŕŗřȑȓṙṛṝṟ"),
    ("s", "śŝşšſșṡṣṥṧṩẛ"),
    ("ss", "ß"),
    ("t", "ţťŧțṫṭṯṱẗ"),
    ("th", "þ"),
    ("u", "ùúûüũūŭůűųưǔǖǘǚǜȕȗṳṵṷṹṻụủứừửữự"),
    ("v", "ṽṿ"),
    ("w", "ŵẁẃẅẇẉẘ"),
    ("x", "ẋẍ"),
    ("y", "ýÿŷȳẏẙỳỵỷỹ"),
    ("z", "źżžẑẓẕ"),
    ("ʒ", "ǯ"),
    ("ʹ", "ʹ"),
    ("α", "άἀἁἂἃἄἅἆἇὰάᾀᾁᾂᾃᾄᾅᾆᾇᾰᾱᾲᾳᾴᾶᾷ"),
    ("ε", "έἐἑἒἓἔἕὲέ"),
    ("η", "ήἠἡἢἣἤἥἦἧὴήᾐᾑᾒᾓᾔᾕᾖᾗῂῃῄῆῇ"),
    ("ι", "ΐίϊἰἱἲἳἴἵἶἷὶίιῐῑῒΐῖῗ"),
    ("ο", "όὀὁὂὃὄὅὸό"),
    ("ρ", "ῤῥ"),
    ("σ", "ς"),
    ("υ", "ΰϋύὐὑὒὓὔὕὖὗὺύῠῡῢΰῦῧ"),
    ("ω", "ώὠὡὢὣὤὥὦὧὼώᾠᾡᾢᾣᾤᾥᾦᾧῲῳῴῶῷ"),
    ("а", "ӑӓ"),
    ("г", "ѓ"),
    ("е", "ѐёӗ"),
    ("ж", "ӂӝ"),
    ("з", "ӟ"),
    ("и", "йѝӣӥ"),
    ("к", "ќ"),
    ("о", "ӧ"),
    ("у", "ўӯӱӳ"),
    ("ч", "ӵ"),
    ("ы", "ӹ"),
    ("э", "ӭ"),
    ("і", "ї"),
    ("ѵ", "ѷ"),
    ("ә", "ӛ"),
    ("ө", "ӫ"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_accents_do_not_count() {
        for (text, expected) in [
            ("Universität Zürich", "universitat zurich"),
            ("UNIVERSITE\u{301} de Montréal", "universite de montreal"),
            ("Politechnika Łódzka", "politechnika lodzka"),
            ("Århus Øst", "arhus ost"),
            ("Straße", "strasse"),
            ("İstanbul", "istanbul"),
            ("Đại học Huế", "dai hoc hue"),
            ("Πανεπιστήμιο Αθηνών", "πανεπιστημιο αθηνων"),
            ("Йошкар", "иошкар"),
            ("東京大学", "東京大学"),
        ] {
            assert_eq!(folded(text), expected);
        }
    }

    #[test]
    fn words_are_runs_of_letters_and_every_rest_where_nothing_is_between_words() {
        let of = |text: &str| {
            let mut found = Vec::new();
            words(text, |word| found.push(word.to_owned()));
            found
        };
        assert_eq!(of("uni-mainz.de (idp2)"), ["uni", "mainz", "de", "idp2"]);
        assert_eq!(of("東京大学"), ["東京大学", "京大学", "大学", "学"]);
        assert_eq!(of(" - "), Vec::<String>::new());
    }
}
