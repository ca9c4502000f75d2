//! Texts with variables in them: `https://{{ api_host }}/users`.

use std::fmt;

/// A text with variables in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(String),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// A `{{` has no `}}`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("{{") {
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            let Some((name, after)) = after.split_once("}}") else {
                return Err(format!("unmatched '{{{{' in template {text:?}"));
            };
            parts.push(Part::Variable(name.trim().to_owned()));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Self(parts))
    }

    /// Whether there is no variable in it.
    #[must_use]
    pub fn is_literal(&self) -> bool {
        self.variables().next().is_none()
    }

    /// The variables in it.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Variable(name) => Some(name.as_str()),
        })
    }

    /// The text, with the values that `value` gives.
    ///
    /// # Errors
    ///
    /// Those of `value`.
    pub fn render<'a, E>(
        &self,
        mut value: impl FnMut(&str) -> Result<&'a str, E>,
    ) -> Result<String, E> {
        let mut text = String::new();
        for part in &self.0 {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Variable(name) => text.push_str(value(name)?),
            }
        }
        Ok(text)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|part| match part {
            Part::Text(text) => formatter.write_str(text),
            Part::Variable(name) => write!(formatter, "{{{{ {name} }}}}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_stand_between_braces() {
        for (text, variables, rendered) in [
            ("", vec![], ""),
            ("plain } { text", vec![], "plain } { text"),
            ("a-{{ one }}-b", vec!["one"], "a-ONE-b"),
            ("{{one}}{{ two }}", vec!["one", "two"], "ONETWO"),
        ] {
            let template = Template::parse(text).unwrap();
            assert_eq!(template.variables().collect::<Vec<_>>(), variables);
            let value = |name: &str| match name {
                "one" => Ok("ONE"),
                "two" => Ok("TWO"),
                _ => Err(()),
            };
            assert_eq!(template.render(value).unwrap(), rendered);
        }
        assert_eq!(
            Template::parse("{{ one }} {{ two").unwrap_err(),
            "unmatched '{{' in template \"{{ one }} {{ two\""
        );
    }
}
