//! SPDX licence expressions: whether one can be met with a single licence.

/// Whether the expression is met by someone who takes only `licence`:
/// `MIT OR Apache-2.0` is met by either, `Apache-2.0 AND ISC` by neither alone.
/// The old form `MIT/Apache-2.0` means OR. What cannot be read is not met.
pub(crate) fn is_met_by(expression: &str, licence: &str) -> bool {
    let spaced = expression
        .replace('/', " OR ")
        .replace('(', " ( ")
        .replace(')', " ) ");
    let tokens: Vec<&str> = spaced.split_whitespace().collect();
    let mut reader = Reader {
        tokens: &tokens,
        licence,
    };
    let met = reader.any_of();
    met && reader.tokens.is_empty()
}

struct Reader<'a> {
    tokens: &'a [&'a str],
    licence: &'a str,
}

impl Reader<'_> {
    /// One or more terms joined by OR, which binds weakest.
    fn any_of(&mut self) -> bool {
        let mut met = self.all_of();
        while self.take("OR") {
            met |= self.all_of();
        }
        met
    }

    /// One or more terms joined by AND.
    fn all_of(&mut self) -> bool {
        let mut met = self.one();
        while self.take("AND") {
            met &= self.one();
        }
        met
    }

    /// A licence, perhaps with an exception, or an expression in brackets.
    fn one(&mut self) -> bool {
        if self.take("(") {
            let met = self.any_of();
            return self.take(")") && met;
        }
        let Some((name, rest)) = self.tokens.split_first() else {
            return false;
        };
        self.tokens = rest;
        // An exception only ever grants more.
        if self.take("WITH") && !self.tokens.is_empty() {
            self.tokens = &self.tokens[1..];
        }
        *name == self.licence
    }

    fn take(&mut self, token: &str) -> bool {
        match self.tokens.split_first() {
            Some((first, rest)) if *first == token => {
                self.tokens = rest;
                true
            }
            _ => false,
        }
    }
}

#[test]
fn expressions_are_read_as_spdx_means_them() {
    for (expression, met) in [
        ("Apache-2.0", true),
        ("MIT", false),
        ("MIT OR Apache-2.0", true),
        ("MIT/Apache-2.0", true),
        ("Apache-2.0 AND ISC", false),
        ("(MIT OR Apache-2.0) AND Unicode-3.0", false),
        ("(MIT OR Apache-2.0) AND Apache-2.0", true),
        ("Apache-2.0 WITH LLVM-exception OR MIT", true),
        ("MIT OR Apache-2.0 AND ISC", false),
        ("(Apache-2.0", false),
        ("", false),
    ] {
        assert_eq!(is_met_by(expression, "Apache-2.0"), met, "{expression:?}");
    }
}
