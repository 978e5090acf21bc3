//! Which of the attributes that a table gives reach a SAML application: those for its entity categories, and, if it is set
//! so, only those that it has asked for.

use crate::profile::Released;
use crate::saml::idp::{AttributeConsumingService, RequestedAttribute, SpTrust};
use serde_json::Value;

/// What an application is given of what its table gives.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReleasePolicy {
    pub only_requested: bool,
    /// Entity categories of the application (RFC 8409): as the operator says, or its metadata.
    pub categories: Vec<String>,
}

/// What goes out, and the names of what does not, each with why.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chosen {
    pub released: Vec<Released>,
    pub withheld: Vec<(String, &'static str)>,
}

impl ReleasePolicy {
    /// `asked` is the AttributeConsumingServiceIndex of the request. Of equal names the first counts.
    pub fn choose(&self, given: Vec<Released>, application: &SpTrust, asked: Option<u16>) -> Chosen {
        let wishes = self.only_requested.then(|| service(&application.attribute_consuming_services, asked));
        let mut chosen = Chosen::default();
        for mut attribute in given {
            let refusal = if !self.has_category(&attribute) {
                Some("the application has none of the entity categories of this row")
            } else if wishes.is_some_and(|service| !asks_for(service, &attribute)) {
                Some("the application does not ask for it")
            } else if chosen.released.iter().any(|known| known.name == attribute.name) {
                Some("an earlier row gave the attribute")
            } else if wishes.is_some_and(|service| !keep_wanted(service, &mut attribute)) {
                Some("it has none of the values that the application asks for")
            } else {
                None
            };
            match refusal {
                Some(why) => chosen.withheld.push((attribute.name, why)),
                None => chosen.released.push(attribute),
            }
        }
        chosen
    }

    fn has_category(&self, attribute: &Released) -> bool {
        attribute.categories.is_empty() || attribute.categories.iter().any(|category| self.categories.contains(category))
    }
}

/// SAML Metadata 2.4.4.1: the one with the index, else the default: that with isDefault="true", else the first without
/// isDefault, else the first. An index that is not there asks for nothing.
fn service(services: &[AttributeConsumingService], asked: Option<u16>) -> Option<&AttributeConsumingService> {
    if asked.is_some() {
        return services.iter().find(|service| service.index == asked);
    }
    let of = |wanted: Option<bool>| services.iter().find(move |service| service.is_default == wanted);
    of(Some(true)).or_else(|| of(None)).or_else(|| services.first())
}

fn asks_for(service: Option<&AttributeConsumingService>, attribute: &Released) -> bool {
    wishes_for(service, attribute).next().is_some()
}

/// The same name; where both say a format, the same format.
fn wishes_for<'s>(service: Option<&'s AttributeConsumingService>, attribute: &Released) -> impl Iterator<Item = &'s RequestedAttribute> {
    let (name, format) = (attribute.name.clone(), attribute.name_format.clone());
    let formats = move |wish: &Option<String>| wish.as_ref().zip(format.as_ref()).is_none_or(|(wish, given)| wish == given);
    let wishes = service.into_iter().flat_map(|service| &service.attributes);
    wishes.filter(move |wish| wish.name == name && formats(&wish.name_format))
}

/// SAML Metadata 2.4.4.2: where a wish lists values, only those matter. Is anything left?
fn keep_wanted(service: Option<&AttributeConsumingService>, attribute: &mut Released) -> bool {
    let wishes: Vec<&RequestedAttribute> = wishes_for(service, attribute).collect();
    if wishes.iter().any(|wish| wish.values.is_empty()) {
        return true;
    }
    let is_wanted = |value: &Value| {
        let text = value.as_str().map_or_else(|| value.to_string(), |text| text.trim().to_owned());
        wishes.iter().any(|wish| wish.values.contains(&text))
    };
    match &mut attribute.value {
        Value::Array(values) => {
            values.retain(is_wanted);
            !values.is_empty()
        }
        single => is_wanted(single),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::saml::idp::{AssertionConsumerService, SpParts};
    use crate::saml::names;
    use serde_json::json;

    const RESEARCH: &str = "http://refeds.org/category/research-and-scholarship";
    const CONDUCT: &str = "https://refeds.org/category/code-of-conduct/v2";

    fn given(name: &str, categories: &[&str]) -> Released {
        Released {
            name: name.to_owned(),
            value: name.into(),
            scope: None,
            categories: categories.iter().map(|category| (*category).to_owned()).collect(),
            name_format: Some(names::ATTRNAME_URI.to_owned()),
            friendly_name: None,
        }
    }

    fn wish(name: &str, name_format: Option<&str>) -> RequestedAttribute {
        RequestedAttribute {
            name: name.to_owned(),
            name_format: name_format.map(str::to_owned),
            friendly_name: None,
            required: false,
            values: Vec::new(),
        }
    }

    /// Two services: the second is the default.
    fn application(with_services: bool) -> SpTrust {
        let service = |index, is_default, attributes| AttributeConsumingService { index: Some(index), is_default, attributes };
        let services = vec![
            service(0, None, vec![wish("mail", None), wish("uid", Some(names::ATTRNAME_BASIC))]),
            service(1, Some(true), vec![wish("sn", Some(names::ATTRNAME_URI))]),
        ];
        let acs = AssertionConsumerService::new("https://app.example/acs", None, None).expect("an address");
        let services = if with_services { services } else { Vec::new() };
        let parts = SpParts { entity_id: "app".to_owned(), acs: vec![acs], attribute_consuming_services: services, ..SpParts::default() };
        SpTrust::new(parts).expect("an application")
    }

    fn names_of(policy: &ReleasePolicy, asked: Option<u16>) -> Vec<String> {
        let rows = ["mail", "uid", "sn"].map(|name| given(name, &[])).to_vec();
        policy.choose(rows, &application(true), asked).released.into_iter().map(|released| released.name).collect()
    }

    #[test]
    fn a_row_for_categories_is_for_applications_that_have_one_of_them() {
        let rows = vec![given("mail", &[RESEARCH, CONDUCT]), given("sn", &[]), given("mail", &[]), given("uid", &[CONDUCT])];
        let chosen = |categories: &[&str]| {
            let categories = categories.iter().map(|category| (*category).to_owned()).collect();
            let policy = ReleasePolicy { categories, ..ReleasePolicy::default() };
            let chosen = policy.choose(rows.clone(), &application(false), None);
            (chosen.released.into_iter().map(|released| released.name).collect::<Vec<_>>(), chosen.withheld.len())
        };
        assert_eq!(chosen(&[]), (vec!["sn".to_owned(), "mail".to_owned()], 2));
        assert_eq!(chosen(&[RESEARCH]), (vec!["mail".to_owned(), "sn".to_owned()], 2), "the first row for the name counts");
        assert_eq!(chosen(&[CONDUCT]), (vec!["mail".to_owned(), "sn".to_owned(), "uid".to_owned()], 1));
        assert_eq!(chosen(&["http://refeds.org/category/research"]).1, 2, "whole names only");
    }

    #[test]
    fn only_what_the_chosen_service_asks_for_goes_out() {
        let all = ReleasePolicy::default();
        let requested = ReleasePolicy { only_requested: true, ..ReleasePolicy::default() };
        assert_eq!(names_of(&all, Some(0)), ["mail", "uid", "sn"]);
        assert_eq!(names_of(&requested, None), ["sn"], "the default service");
        assert_eq!(names_of(&requested, Some(0)), ["mail"], "uid was asked for in another format");
        assert_eq!(names_of(&requested, Some(1)), ["sn"]);
        assert_eq!(names_of(&requested, Some(7)), [""; 0], "there is no such service");
        let silent = requested.choose(vec![given("mail", &[])], &application(false), None);
        assert_eq!((silent.released.len(), silent.withheld.len()), (0, 1), "who asks for nothing gets nothing");
    }

    #[test]
    fn a_wish_for_certain_values_gets_those_and_no_others() {
        let only = |values: &[&str]| RequestedAttribute {
            values: values.iter().map(|value| (*value).to_owned()).collect(),
            ..wish("affiliation", None)
        };
        let chosen = |wishes: Vec<RequestedAttribute>, value: Value| {
            let service = AttributeConsumingService { index: Some(0), is_default: None, attributes: wishes };
            let acs = AssertionConsumerService::new("https://app.example/acs", None, None).expect("an address");
            let parts =
                SpParts { entity_id: "app".to_owned(), acs: vec![acs], attribute_consuming_services: vec![service], ..SpParts::default() };
            let policy = ReleasePolicy { only_requested: true, ..ReleasePolicy::default() };
            let given = Released { value, ..given("affiliation", &[]) };
            let chosen = policy.choose(vec![given.clone()], &SpTrust::new(parts.clone()).expect("an application"), None);
            let all = ReleasePolicy::default().choose(vec![given.clone()], &SpTrust::new(parts).expect("an application"), None);
            assert_eq!(all.released, [given], "who is given all does not choose");
            (chosen.released.into_iter().map(|released| released.value).next(), chosen.withheld.into_iter().map(|(_, why)| why).next())
        };
        let several = json!(["member", "staff", "alum", 7]);
        assert_eq!(chosen(vec![only(&["staff", "faculty", "7"])], several.clone()), (Some(json!(["staff", 7])), None));
        let none = Some("it has none of the values that the application asks for");
        assert_eq!(chosen(vec![only(&["faculty"])], several.clone()), (None, none));
        assert_eq!(chosen(vec![only(&["staff"]), only(&["alum"])], several.clone()).0, Some(json!(["staff", "alum"])), "both wishes count");
        assert_eq!(
            chosen(vec![only(&["staff"]), wish("affiliation", None)], several.clone()).0,
            Some(several),
            "one asks for whatever there is"
        );
        assert_eq!(chosen(vec![only(&["staff"])], json!("staff")).0, Some(json!("staff")));
        assert_eq!(chosen(vec![only(&["Staff"])], json!("staff")), (None, none), "letter by letter");
        assert_eq!(chosen(vec![only(&["true"])], json!(true)).0, Some(json!(true)));
    }
}
