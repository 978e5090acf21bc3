//! The order of what was found.

use super::SearchError;
use super::field::{Named, TextField, TimeField, named};

/// By one field, and by `user_id` where that is the same. Who has no such text comes after all who have one
/// ([`Order::Ascending`]), or before them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sort {
    pub field: SortField,
    pub order: Order,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SortField {
    Text(TextField),
    Time(TimeField),
    LoginsCount,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Ascending,
    Descending,
}

impl Default for Sort {
    fn default() -> Self {
        Self { field: SortField::Text(TextField::UserId), order: Order::Ascending }
    }
}

impl Sort {
    /// Reads `created_at:1` and `name:-1`.
    pub fn parse(text: &str) -> Result<Self, SearchError> {
        let Some((name, order)) = text.split_once(':') else {
            return Err(SearchError::at(0, "a sort is a field and 1 or -1, such as created_at:-1"));
        };
        let order = match order {
            "1" => Order::Ascending,
            "-1" => Order::Descending,
            _ => return Err(SearchError::at(name.chars().count() + 1, "the order is 1 (ascending) or -1 (descending)")),
        };
        let field = match named(name).map_err(|message| SearchError::at(0, message))? {
            Named::Text(field) => SortField::Text(field),
            Named::Time(field) => SortField::Time(field),
            Named::LoginsCount => SortField::LoginsCount,
            Named::Metadata(path) => return Err(SearchError::at(0, format!("{} cannot be sorted by", path.which.name()))),
            Named::Flag(_) | Named::Identities | Named::Identity(_) | Named::IsSocial => {
                return Err(SearchError::at(0, format!("{name} cannot be sorted by")));
            }
        };
        Ok(Self { field, order })
    }
}
