//! Finding an identity provider by what people type.
//!
//! The index is one sorted list of folded words, each with the entities it stands for. A word of the question is a range of
//! that list, so the work is proportional to what begins with it.

use super::entity::Entity;
use super::fold::{folded, words};
use crate::clock::Timestamp;
use std::collections::HashMap;
use std::sync::Arc;

/// One answer of a search.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    pub entity: &'a Entity,
    /// In the language that was asked for, where there is one.
    pub name: &'a str,
}

/// Where a word stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Name,
    /// Keyword, scope, entityID.
    Other,
}

#[derive(Clone, Copy)]
struct Posting {
    entity: u32,
    /// Index into the languages; for names.
    language: u8,
    field: Field,
    /// The text begins with the word.
    first: bool,
}

/// What a question has found of one entity so far.
#[derive(Clone, Copy, Default)]
struct State {
    /// Words found.
    round: u8,
    /// The worst place of the words before the last one, and the best of that.
    before: u8,
    here: u8,
    /// A name begins with the first word.
    first: bool,
}

/// The index over the identity providers that may be offered.
pub(super) struct Index {
    /// Sorted; each with the end of its postings, which begin where those of the one before end.
    terms: Vec<(Box<str>, u32)>,
    postings: Vec<Posting>,
    /// First parts of language tags. What comes after 255 of them shares the last place.
    languages: Vec<Box<str>>,
    /// Of every entity: its place when all are sorted by name, or `None` where it is not offered.
    ranks: Vec<Option<u32>>,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Index({} words)", self.terms.len())
    }
}

impl Index {
    pub fn new(entities: &[Arc<Entity>]) -> Self {
        let mut by_term: HashMap<Box<str>, Vec<Posting>> = HashMap::new();
        let mut index = Self { terms: Vec::new(), postings: Vec::new(), languages: vec!["".into()], ranks: vec![None; entities.len()] };
        let mut names = Vec::new();
        for (number, entity) in (0u32..).zip(entities).filter(|(_, entity)| entity.is_idp && !entity.hidden) {
            names.push((folded(entity.name("en")), number));
            let mut add = |text: &str, language: u8, field: Field| {
                let text = folded(text);
                words(&text, |word| {
                    let posting = Posting { entity: number, language, field, first: text.starts_with(word) };
                    match by_term.get_mut(word) {
                        Some(postings) => postings.push(posting),
                        None => drop(by_term.insert(word.into(), vec![posting])),
                    }
                });
            };
            for name in &entity.display_names {
                add(&name.text, index.language(&name.language), Field::Name);
            }
            entity.keywords.iter().for_each(|keyword| add(&keyword.text, 0, Field::Other));
            entity.scopes.iter().filter(|scope| !scope.regexp).for_each(|scope| add(&scope.value, 0, Field::Other));
            add(entity.entity_id.split_once("://").map_or(&*entity.entity_id, |(_, rest)| rest), 0, Field::Other);
        }
        names.sort_unstable();
        for (rank, (_, number)) in (0u32..).zip(names) {
            if let Some(place) = index.ranks.get_mut(number as usize) {
                *place = Some(rank);
            }
        }
        let mut terms: Vec<_> = by_term.into_iter().collect();
        terms.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        for (term, postings) in terms {
            index.postings.extend(postings);
            index.terms.push((term, index.postings.len() as u32));
        }
        index.terms.shrink_to_fit();
        index.postings.shrink_to_fit();
        index
    }

    fn language(&mut self, tag: &str) -> u8 {
        let first = tag.split(['-', '_']).next().unwrap_or_default();
        let known = self.languages.iter().position(|known| **known == *first);
        let place = known.unwrap_or_else(|| {
            if self.languages.len() < usize::from(u8::MAX) {
                self.languages.push(first.into());
            }
            self.languages.len() - 1
        });
        u8::try_from(place).unwrap_or(u8::MAX)
    }

    pub fn find<'a>(&self, entities: &'a [Arc<Entity>], text: &str, language: &str, limit: usize, now: Timestamp) -> Vec<Found<'a>> {
        let text: String = text.chars().take(QUESTION).collect();
        let folded_text = folded(&text);
        let asked: Vec<&str> = folded_text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).take(WORDS).collect();
        if asked.is_empty() && !folded_text.trim().is_empty() {
            return Vec::new();
        }
        let primary = language.split(['-', '_']).next().unwrap_or_default();
        let wanted = self.languages.iter().position(|known| known.eq_ignore_ascii_case(primary) && !primary.is_empty());
        let mut states = vec![State::default(); entities.len()];
        for (round, word) in (1_u8..).zip(&asked) {
            self.mark(word, round, wanted, &mut states);
        }
        let complete = asked.len() as u8;
        let usable = |number: u32| entities.get(number as usize).is_some_and(|entity| entity.is_valid_at(now));
        let mut hits: Vec<(u8, bool, u32, u32)> = (0u32..)
            .zip(states.iter().zip(&self.ranks))
            .filter(|(_, (state, _))| state.round == complete)
            .filter_map(|(number, (state, rank))| rank.map(|rank| (state.before.max(state.here), !state.first, rank, number)))
            .filter(|(.., number)| usable(*number))
            .collect();
        if limit < hits.len() {
            hits.select_nth_unstable(limit);
            hits.truncate(limit);
        }
        hits.sort_unstable();
        hits.into_iter()
            .filter_map(|(.., number)| entities.get(number as usize))
            .map(|entity| Found { entity, name: entity.name(language) })
            .collect()
    }

    /// Notes the entities that have a word beginning with `word`, of those that had all words before it.
    fn mark(&self, word: &str, round: u8, wanted: Option<usize>, states: &mut [State]) {
        let from = self.terms.partition_point(|(term, _)| **term < *word);
        let behind = self.terms.get(from..).unwrap_or_default();
        let to = from + behind.partition_point(|(term, _)| term.starts_with(word));
        let end_of = |at: usize| at.checked_sub(1).and_then(|before| self.terms.get(before)).map_or(0, |(_, end)| *end as usize);
        for posting in self.postings.get(end_of(from)..end_of(to)).unwrap_or_default() {
            let place = match posting.field {
                Field::Name if wanted == Some(usize::from(posting.language)) => ASKED_LANGUAGE,
                Field::Name => OTHER_LANGUAGE,
                Field::Other => ELSEWHERE,
            };
            let Some(state) = states.get_mut(posting.entity as usize) else { continue };
            if state.round + 1 == round {
                *state = State { round, before: state.before.max(state.here), here: place, first: state.first };
            } else if state.round == round {
                state.here = state.here.min(place);
            }
            if round == 1 && posting.field == Field::Name {
                state.first |= posting.first;
            }
        }
    }
}

const ASKED_LANGUAGE: u8 = 0;
const OTHER_LANGUAGE: u8 = 1;
const ELSEWHERE: u8 = 2;
/// Characters and words of a question that count.
const QUESTION: usize = 200;
const WORDS: usize = 16;
