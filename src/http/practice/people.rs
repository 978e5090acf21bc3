//! The practice people: each is there because of a difficulty. And the page on which one of them is chosen.

use askama::Template;

/// Somebody who can sign in at the practice identity provider.
pub struct Person {
    pub id: &'static str,
    /// What is special about this person, for the page.
    pub remark: &'static str,
    pub given_name: &'static str,
    pub family_name: &'static str,
    pub display_name: &'static str,
    pub email: Option<&'static str>,
    /// How many groups; named in [`Self::groups`].
    group_count: usize,
}

pub const PEOPLE: [Person; 4] = [
    Person {
        id: "ada",
        remark: "an ordinary colleague",
        given_name: "Ada",
        family_name: "Byron",
        display_name: "Ada Byron",
        email: Some("Ada.Byron@practice.example"),
        group_count: 3,
    },
    Person {
        id: "zoe",
        remark: "a name with accents and another script",
        given_name: "Zoë",
        family_name: "Nuñez-Øberg 李",
        display_name: "Zoë Nuñez-Øberg 李小雪 <&>",
        email: Some("zoe@practice.example"),
        group_count: 2,
    },
    Person {
        id: "max",
        remark: "a member of 200 groups",
        given_name: "Max",
        family_name: "Member",
        display_name: "Max Member",
        email: Some("max@practice.example"),
        group_count: 200,
    },
    Person {
        id: "nomail",
        remark: "somebody without an e-mail address",
        given_name: "Nora",
        family_name: "Nomail",
        display_name: "Nora Nomail",
        email: None,
        group_count: 1,
    },
];

/// The page on which one of them is chosen.
#[derive(Template)]
#[template(path = "practice_idp.html")]
pub struct ChoosePage<'a> {
    /// The provider's name.
    pub title: &'a str,
    /// Where the choice is posted.
    pub action: &'a str,
    /// What travels with it.
    pub hidden: Vec<(&'a str, String)>,
    pub people: &'a [Person],
}

impl Person {
    pub fn by_id(id: &str) -> Option<&'static Self> {
        PEOPLE.iter().find(|person| person.id == id)
    }

    pub fn groups(&self) -> Vec<String> {
        (1..=self.group_count).map(|number| format!("practice-group-{number:03}")).collect()
    }
}
