//! The attribute `approval_gate` of `human-oversight-client`, which re-exports it: see there.

mod arguments;
mod async_block;
mod settings;

use proc_macro::TokenStream;
use proc_macro2::TokenStream as Tokens;
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Block, Error, ItemFn, ReturnType, Type, parse_macro_input};

use settings::{Refusal, Settings};

/// Runs a function only after a person approved exactly its arguments.
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
/// A call waits for the decision. People see the arguments by their names, as `serde` writes them, and their
/// decision is bound to these (`self` is not among them). The function runs on the same values, and not at
/// all if they changed in the meantime. If the return type is named `Result`, the gate gets a report of success or
/// failure, with the error as its `Display` writes it, which it must have; any other return value counts as executed.
///
/// | setting | |
/// |---|---|
/// | `agent_name` | the agent's name |
/// | `action_description` | one line that tells people what the action is |
/// | `approver_emails` | the approvers, anything that can be iterated over; the default is the gate's (`APPROVER_EMAILS`) |
/// | `refusal_return_value` | the return value of a refusal: a value, or a closure that makes one from the `Refusal`. Optional for `String` (the refusal in words, suitable for a model) and for a `Result` whose error is `From<Refusal>` |
/// | `timeout` | the time for a decision, a `Duration` |
/// | `reason`, `on_behalf_of`, `on_pending` | as on `Action` |
/// | `correlation_id` | as on `Action`: a name of your own for each call, such as the id of the model's tool call. A second call in this process with the same name and arguments is the same request, whose approval is used once; with `HO_CLAIM_KEY`, in any process |
/// | `supersedes` | as on `Action`: the id of the earlier request whose place the call takes |
/// | `callback` | as on `Action`: the channel by which the gate wakes this process, if that passes the call to `Gate::on_callback` |
/// | `gate` | the `Gate`; the default is that of `Gate::scope`, or of the environment (`HO_URL`, `HO_KEY`) |
///
/// A setting is an expression, and may name arguments and `self`.
///
/// An argument marked `#[approval(redact)]` is shown as «redacted», for secrets: people do not approve its
/// value, but it must not change before the function runs. An argument marked `#[approval(skip)]` is
/// ignored: for what is not part of the decision, such as a connection. So is what a type's `Serialize` leaves out, such
/// as a field with `#[serde(skip)]`: it can differ from call to call without approval.
///
/// It works on methods of `#[async_trait]` too, in the trait's implementation, and on a function that is nothing
/// but `Box::pin(async move { … })`, where its return type is written out (`Pin<Box<dyn Future<Output = T>>>`). A function
/// that returns another future does not compile: it would be reported before it has run. In the body, `Proof::current()`
/// is the proof that it may run.
///
/// A function that is not `async` blocks its thread while it waits; call it where that is allowed.
#[proc_macro_attribute]
pub fn approval_gate(settings: TokenStream, item: TokenStream) -> TokenStream {
    let settings = parse_macro_input!(settings as Settings);
    let function = parse_macro_input!(item as ItemFn);
    let expanded = expand(&settings, function);
    expanded.unwrap_or_else(Error::into_compile_error).into()
}

fn expand(settings: &Settings, mut function: ItemFn) -> syn::Result<Tokens> {
    if let Some(constness) = &function.sig.constness {
        let why = "a `const fn` cannot wait for a decision";
        return Err(Error::new(constness.span(), why));
    }
    let arguments = arguments::extract(&mut function.sig)?;
    let gate =
        |body: &Block, returned, is_async| gate(settings, &arguments, body, returned, is_async);
    if let Some((block, output)) = async_block::find(&function.sig, &mut function.block) {
        block.block = gate(&block.block, &output, true)?;
    } else {
        let is_async = function.sig.asyncness.is_some();
        *function.block = gate(&function.block, &function.sig.output, is_async)?;
    }
    Ok(quote!(#function))
}

/// The body, behind the gate.
fn gate(
    settings: &Settings,
    arguments: &Tokens,
    body: &Block,
    output: &ReturnType,
    is_async: bool,
) -> syn::Result<Block> {
    let returned = return_type(output)?;
    let (claim, revalidate, await_) = if is_async {
        (quote!(claim), quote!(revalidate), quote!(.await))
    } else {
        (
            quote!(claim_blocking),
            quote!(revalidate_blocking),
            quote!(),
        )
    };
    let report = report(output, is_async);
    let run = run(body, &returned, is_async);
    let refused = match &settings.refusal {
        Refusal::FromType => quote! {
            ::human_oversight_client::__gated::FromRefusal::from_refusal(__refusal)
        },
        Refusal::Text(text) => quote!(::core::convert::From::from(#text)),
        Refusal::Closure(closure) => quote!((#closure)(__refusal)),
        Refusal::Value(value) => quote!(#value),
    };
    let gate = &settings.gate;
    let action = settings.action();
    let is_no_future = quote_spanned! {output.span()=>
        let _ = <#returned as ::human_oversight_client::__gated::IsNoFuture<_>>::check;
    };
    let block = quote! {{
        #is_no_future
        let __gate: ::core::result::Result<
            ::human_oversight_client::Gate,
            ::human_oversight_client::Error,
        > = #gate;
        let __action = __gate.map(|__gate| #action);
        let __bound = ::human_oversight_client::__gated::#claim(__action, #arguments) #await_;
        let __permit = match __bound {
            ::core::result::Result::Ok(__bound) => __bound.#revalidate(#arguments) #await_,
            ::core::result::Result::Err(__refusal) => ::core::result::Result::Err(__refusal),
        };
        match __permit {
            ::core::result::Result::Ok(__permit) => {
                let __result: #returned = #run;
                #report
                __result
            }
            ::core::result::Result::Err(__refusal) => #refused,
        }
    }};
    syn::parse2(block)
}

/// The return type, which a refusal must have too.
fn return_type(output: &ReturnType) -> syn::Result<Tokens> {
    Ok(match output {
        ReturnType::Default => quote!(()),
        ReturnType::Type(_, kind) if matches!(**kind, Type::ImplTrait(_)) => {
            let why = "name the return type: the return value of a refusal must have it too";
            return Err(Error::new(kind.span(), why));
        }
        // It would be reported as executed before it runs.
        ReturnType::Type(_, kind) if is_named(kind, &["Pin", "BoxFuture", "LocalBoxFuture"]) => {
            let why =
                "gate an `async fn` and call it from here: a future that is returned has not run";
            return Err(Error::new(kind.span(), why));
        }
        ReturnType::Type(_, kind) => quote!(#kind),
    })
}

/// Runs the function's body.
fn run(body: &Block, returned: &Tokens, is_async: bool) -> Tokens {
    // Without its braces, which the compiler would call unnecessary.
    let statements = &body.stmts;
    if !is_async {
        return quote! {
            ::human_oversight_client::__gated::run_blocking(&__permit, move || -> #returned {
                #(#statements)*
            })
        };
    }
    // The code that is never reached tells the compiler the type of the block.
    quote! {
        ::human_oversight_client::__gated::run(&__permit, async move {
            #[allow(unreachable_code, clippy::diverging_sub_expression)]
            if false {
                let __never: #returned = loop {};
                return __never;
            }
            #(#statements)*
        })
        .await
    }
}

/// Reports a `Result` as success or failure, anything else as success.
fn report(output: &ReturnType, is_async: bool) -> Tokens {
    let is_result = match output {
        ReturnType::Type(_, kind) => is_named(kind, &["Result"]),
        ReturnType::Default => false,
    };
    let (executed, failed) = if is_async {
        (quote!(executed().await), quote!(failed(__error).await))
    } else {
        (
            quote!(executed_blocking()),
            quote!(failed_blocking(__error)),
        )
    };
    if !is_result {
        return quote!(__permit.#executed;);
    }
    // The error becomes a text first, so that no borrow of the result lives across the report.
    quote! {
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
    }
}

/// Whether the last segment of a type's path is one of these names.
fn is_named(kind: &Type, names: &[&str]) -> bool {
    match kind {
        Type::Group(group) => is_named(&group.elem, names),
        Type::Paren(paren) => is_named(&paren.elem, names),
        Type::Path(path) => {
            let last = path.path.segments.last();
            last.is_some_and(|last| names.iter().any(|name| last.ident == name))
        }
        _ => false,
    }
}
