//! The settings of the attribute.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Error, Expr, ExprLit, Lit, MetaNameValue, Token};

pub(crate) struct Settings {
    agent: Expr,
    description: Expr,
    approvers: Option<Expr>,
    timeout: Option<Expr>,
    reason: Option<Expr>,
    on_behalf_of: Option<Expr>,
    on_pending: Option<Expr>,
    correlation_id: Option<Expr>,
    supersedes: Option<Expr>,
    callback: Option<Expr>,
    /// An expression of a `Result<Gate, Error>`.
    pub(crate) gate: TokenStream,
    pub(crate) refusal: Refusal,
}

/// The return value of a refusal.
pub(crate) enum Refusal {
    /// From the return type's `FromRefusal`.
    FromType,
    /// A text, converted to the return type.
    Text(Expr),
    /// From a closure.
    Closure(Expr),
    Value(Expr),
}

const KNOWN: [&str; 12] = [
    "agent_name",
    "action_description",
    "approver_emails",
    "refusal_return_value",
    "timeout",
    "reason",
    "on_behalf_of",
    "on_pending",
    "correlation_id",
    "supersedes",
    "callback",
    "gate",
];

impl Parse for Settings {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let span = input.span();
        let mut named: Vec<(String, Expr)> = Vec::new();
        for setting in Punctuated::<MetaNameValue, Token![,]>::parse_terminated(input)? {
            let name = setting.path.require_ident()?.to_string();
            if named.iter().any(|(other, _)| *other == name) {
                return Err(Error::new_spanned(&setting.path, "duplicate setting"));
            }
            if !KNOWN.contains(&name.as_str()) {
                let [others @ .., last] = KNOWN;
                let others = others.join(", ");
                let why = format!("unknown setting; the settings are {others} and {last}");
                return Err(Error::new_spanned(&setting.path, why));
            }
            check_literal(&name, &setting.value)?;
            named.push((name, setting.value));
        }
        let mut take = |name: &str| {
            let at = named.iter().position(|(other, _)| other == name)?;
            Some(named.swap_remove(at).1)
        };
        let mut require = |name: &str, what: &str| {
            let missing = || Error::new(span, format!("`{name} = …` is missing: {what}"));
            take(name).ok_or_else(missing)
        };
        Ok(Self {
            agent: require("agent_name", "the agent's name")?,
            description: require(
                "action_description",
                "one line that tells people what the action is",
            )?,
            approvers: take("approver_emails"),
            timeout: take("timeout"),
            reason: take("reason"),
            on_behalf_of: take("on_behalf_of"),
            on_pending: take("on_pending"),
            correlation_id: take("correlation_id"),
            supersedes: take("supersedes"),
            callback: take("callback"),
            gate: match take("gate") {
                Some(gate) => quote! {
                    ::core::result::Result::Ok(::core::clone::Clone::clone(&#gate))
                },
                None => quote!(::human_oversight_client::__gated::current_gate()),
            },
            refusal: match take("refusal_return_value") {
                None => Refusal::FromType,
                Some(closure @ Expr::Closure(_)) => Refusal::Closure(closure),
                Some(
                    text @ Expr::Lit(ExprLit {
                        lit: Lit::Str(_), ..
                    }),
                ) => Refusal::Text(text),
                Some(value) => Refusal::Value(value),
            },
        })
    }
}

/// Says what a setting needs where a literal is none of it, before the compiler speaks of traits.
fn check_literal(name: &str, value: &Expr) -> syn::Result<()> {
    let why = match (name, value) {
        ("timeout", Expr::Lit(_)) => {
            "`timeout` is a `Duration`, such as `std::time::Duration::from_secs(3_600)`"
        }
        ("approver_emails", Expr::Lit(_)) => {
            "`approver_emails` is a list, such as `[\"alice@example.com\"]`"
        }
        _ => return Ok(()),
    };
    Err(Error::new_spanned(value, why))
}

impl Settings {
    /// An expression of the `Action`, given a `Gate` named `__gate`.
    pub(crate) fn action(&self) -> TokenStream {
        let Self {
            agent, description, ..
        } = self;
        let mut action = quote!(__gate.agent(#agent).action(#description));
        for (method, value) in [
            (quote!(approvers), &self.approvers),
            (quote!(timeout), &self.timeout),
            (quote!(reason), &self.reason),
            (quote!(on_behalf_of), &self.on_behalf_of),
            (quote!(on_pending), &self.on_pending),
            (quote!(correlation_id), &self.correlation_id),
            (quote!(supersedes), &self.supersedes),
            (quote!(callback), &self.callback),
        ] {
            if let Some(value) = value {
                action = quote!(#action.#method(#value));
            }
        }
        action
    }
}
