//! The attribute `approval_gate` of `human-oversight-client`, which re-exports it: see there.

mod arguments;
mod settings;

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::quote;
use syn::spanned::Spanned;
use syn::{Error, ItemFn, ReturnType, Type, parse_macro_input};

use settings::{Refusal, Settings};

/// Puts a person before a function: it runs only after one approved exactly its arguments.
///
/// ```text
/// #[approval_gate(
///     agent_name = "UserManagerAgent",
///     action_description = "Delete User Account",
///     approver_emails = ["alice@example.com"],
///     refusal_return_value = "DENIED: User deletion was not approved.",
/// )]
/// async fn delete_user(user_id: String) -> String { … }
/// ```
///
/// Whoever calls it waits for the decision. What people see, and what is bound to their decision, are the
/// arguments by their names, as `serde` writes them (`self` is not among them: it is who acts); the
/// function runs on those very values, and not if they changed meanwhile. What returns a `Result` by that
/// name, of an error with a `Display`, is reported to the gate as done or failed; anything else as done.
///
/// | setting | |
/// |---|---|
/// | `agent_name` | who asks |
/// | `action_description` | what for, in a line for people |
/// | `approver_emails` | who may decide: anything that can be iterated over; the gate's own (`APPROVER_EMAILS`) if it is left out |
/// | `refusal_return_value` | what it returns when it did not run: a value, or a closure that makes one of the `Refusal`. May be left out for `String` (the refusal in words, fit for a model) and for a `Result` whose error can be made `From<Refusal>` |
/// | `timeout` | how long people have, a `Duration` |
/// | `reason`, `on_behalf_of`, `on_pending` | as on `Action` |
/// | `gate` | the `Gate` to ask; the one of the environment (`HO_URL`, `HO_KEY`) if it is left out |
///
/// An argument marked `#[approval(redact)]` is shown as «redacted», for secrets: people do not approve its
/// value, which only must not change while they decide. One marked `#[approval(skip)]` is not looked at: for
/// what is no part of the decision, such as a connection.
///
/// With `async_trait`, gate an `async fn` of its own and call that from the trait's.
///
/// A function that is not `async` blocks its thread while it waits; call it where that is allowed.
#[proc_macro_attribute]
pub fn approval_gate(settings: TokenStream, item: TokenStream) -> TokenStream {
    let settings = parse_macro_input!(settings as Settings);
    let function = parse_macro_input!(item as ItemFn);
    let gated = gated(&settings, function);
    gated.unwrap_or_else(Error::into_compile_error).into()
}

fn gated(settings: &Settings, mut function: ItemFn) -> syn::Result<Tokens> {
    if let Some(constness) = &function.sig.constness {
        let why = "a `const fn` cannot wait for a person";
        return Err(Error::new(constness.span(), why));
    }
    let arguments = arguments::take(&mut function.sig)?;
    let returned = match &function.sig.output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, kind) if matches!(**kind, Type::ImplTrait(_)) => {
            let why = "name the type: what a refusal returns must be of it too";
            return Err(Error::new(kind.span(), why));
        }
        // What runs later would be reported as done when it is only made.
        ReturnType::Type(_, kind) if named(kind, &["Pin", "BoxFuture", "LocalBoxFuture"]) => {
            let why =
                "gate an `async fn`, and call it from here: a future that is returned has not run";
            return Err(Error::new(kind.span(), why));
        }
        ReturnType::Type(_, kind) => quote!(#kind),
    };
    let is_async = function.sig.asyncness.is_some();
    let (claim, revalidate, await_) = match is_async {
        true => (quote!(claim), quote!(revalidate), quote!(.await)),
        false => (
            quote!(claim_blocking),
            quote!(revalidate_blocking),
            quote!(),
        ),
    };
    let report = report(&function.sig.output, is_async);
    let body = &function.block;
    let run = match is_async {
        // What is never reached tells the compiler what the block returns.
        true => quote! {
            (async move {
                #[allow(unreachable_code, clippy::diverging_sub_expression)]
                if false {
                    let __never: #returned = loop {};
                    return __never;
                }
                #body
            })
            .await
        },
        false => quote!((move || -> #returned { #body })()),
    };
    let refused = match &settings.refusal {
        Refusal::Itself => quote! {
            ::human_oversight_client::__gated::FromRefusal::from_refusal(__refusal)
        },
        Refusal::Text(text) => quote!(::core::convert::From::from(#text)),
        Refusal::Made(closure) => quote!((#closure)(__refusal)),
        Refusal::Value(value) => quote!(#value),
    };
    let gate = &settings.gate;
    let action = settings.action();
    let block = quote! {{
        let __gate: ::core::result::Result<
            ::human_oversight_client::Gate,
            ::human_oversight_client::Error,
        > = #gate;
        let __action = __gate.map(|__gate| #action);
        let __claimed = ::human_oversight_client::__gated::#claim(__action, #arguments) #await_;
        let __granted = match __claimed {
            ::core::result::Result::Ok(__claimed) => __claimed.#revalidate(#arguments) #await_,
            ::core::result::Result::Err(__refusal) => ::core::result::Result::Err(__refusal),
        };
        match __granted {
            ::core::result::Result::Ok(__permit) => {
                let __result: #returned = #run;
                #report
                __result
            }
            ::core::result::Result::Err(__refusal) => #refused,
        }
    }};
    function.block = syn::parse2(block)?;
    Ok(quote!(#function))
}

/// A `Result` is what it is; anything else means that the function did what it does.
fn report(output: &ReturnType, is_async: bool) -> Tokens {
    let is_result = match output {
        ReturnType::Type(_, kind) => named(kind, &["Result"]),
        ReturnType::Default => false,
    };
    let (executed, failed) = match is_async {
        true => (quote!(executed().await), quote!(failed(__error).await)),
        false => (
            quote!(executed_blocking()),
            quote!(failed_blocking(__error)),
        ),
    };
    match is_result {
        // In words at once: the result may be nothing to hold on to while the gate is told.
        true => quote! {
            let __failed = match &__result {
                ::core::result::Result::Ok(_) => ::core::option::Option::None,
                ::core::result::Result::Err(__error) => {
                    ::core::option::Option::Some(::std::string::ToString::to_string(__error))
                }
            };
            match __failed {
                ::core::option::Option::None => __permit.#executed,
                ::core::option::Option::Some(__error) => __permit.#failed,
            }
        },
        false => quote!(__permit.#executed;),
    }
}

/// Whether a type goes by one of these names, wherever it is from.
fn named(kind: &Type, names: &[&str]) -> bool {
    match kind {
        Type::Group(group) => named(&group.elem, names),
        Type::Paren(paren) => named(&paren.elem, names),
        Type::Path(path) => {
            let last = path.path.segments.last();
            last.is_some_and(|last| names.iter().any(|name| last.ident == name))
        }
        _ => false,
    }
}
