//! JSON values as values of CEL. Texts are not copied.

use cel::common::types::{CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt};
use cel::common::value::Val;
use serde_json::Value;
use std::collections::HashMap;

/// Whole numbers are `int`, so that `+ 1` works; `uint` where they are too large for it.
pub fn value(value: &Value) -> Box<dyn Val + '_> {
    match value {
        Value::Null => Box::new(CelNull),
        Value::Bool(flag) => Box::new(CelBool::from(*flag)),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Box::new(CelInt::from(number)),
            (None, Some(number)) => Box::new(CelUInt::from(number)),
            (None, None) => Box::new(CelDouble::from(number.as_f64().unwrap_or_default())),
        },
        Value::String(text) => self::text(text),
        Value::Array(items) => list(items),
        Value::Object(members) => map(members.iter().map(|(name, member)| (name.as_str(), self::value(member)))),
    }
}

pub fn text<'v>(text: &'v str) -> Box<dyn Val + 'v> {
    Box::new(CelString::from(text))
}

pub fn list<'v>(items: impl IntoIterator<Item = &'v Value>) -> Box<dyn Val + 'v> {
    Box::new(CelList::from(items.into_iter().map(value).collect::<Vec<_>>()))
}

pub fn map<'v>(members: impl Iterator<Item = (&'v str, Box<dyn Val + 'v>)>) -> Box<dyn Val + 'v> {
    let members: HashMap<CelMapKey<'v>, Box<dyn Val + 'v>> = members.map(|(name, member)| (CelMapKey::from(name), member)).collect();
    Box::new(CelMap::from(members))
}
