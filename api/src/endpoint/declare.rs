//! The macro with which a resource declares its endpoints.

/// Declares the endpoints of a resource, and the list `ENDPOINTS` of their metadata.
///
/// ```text
/// endpoints! {
///     /// What the call does, for its users.
///     Name {
///         /// What the argument means. `path` or `query` says where it stands; a query argument's type is an Option.
///         path argument: Type,
///     } = Method "/v1/path/{argument}", Access, "tag",
///         RequestType => ResponseType, "What the answer holds.",
///         [Own, Problem, Codes];
/// }
/// ```
macro_rules! endpoints {
    ($(
        $(#[doc = $doc:literal])+
        $name:ident { $($(#[doc = $argument_doc:literal])+ $place:ident $argument:ident: $type:ty),* $(,)? }
            = $method:ident $path:literal, $access:ident, $tag:literal,
            $request:ty => $response:ty, $answer:literal,
            [$($problem:ident),* $(,)?];
    )*) => {
        /// The endpoints of this resource, in the order in which paths are matched.
        pub const ENDPOINTS: &[$crate::endpoint::Metadata] =
            &[$(<$name as $crate::endpoint::Endpoint>::METADATA),*];

        /// Visits each endpoint of this resource.
        pub fn visit(visitor: &mut impl $crate::endpoint::Visitor) {
            $(visitor.visit::<$name>();)*
        }

        /// Adds each endpoint of this resource to a document.
        #[cfg(feature = "openapi")]
        pub(crate) const OPERATIONS: &[fn(&mut $crate::openapi::Builder)] =
            &[$($crate::openapi::Builder::add::<$name>),*];

        $(
            $crate::endpoint::declare::endpoint_type! {
                $(#[doc = $doc])+
                $name { $($(#[doc = $argument_doc])+ $argument: $type),* }
            }

            impl $name {
                /// The endpoint's name, to match [`Metadata::name`](crate::endpoint::Metadata::name) against.
                pub const NAME: &'static str = stringify!($name);
            }

            impl $crate::endpoint::Endpoint for $name {
                type Access = $crate::endpoint::$access;
                type Request = $request;
                type Response = $response;

                const METADATA: $crate::endpoint::Metadata = $crate::endpoint::Metadata {
                    name: stringify!($name),
                    method: $crate::endpoint::Method::$method,
                    path: $path,
                    access: <$crate::endpoint::$access as $crate::endpoint::AccessKind>::ACCESS,
                    body: <$request as $crate::endpoint::RequestBody>::EXPECTED,
                    parameters: &[$($crate::endpoint::declare::parameter!(
                        $place $argument: $type, concat!($($argument_doc),+)
                    )),*],
                    tag: $tag,
                    description: concat!($($doc),+),
                    answer: $answer,
                    status: <$response as $crate::endpoint::ResponseBody>::STATUS,
                    own_problems: &[$($crate::problem::ProblemCode::$problem),*],
                };

                fn path(&self) -> String {
                    let path = $crate::endpoint::PathBuilder::new($path);
                    $(let path = path.$place(stringify!($argument), &self.$argument);)*
                    path.finish()
                }

                fn parse(
                    arguments: &$crate::endpoint::Arguments<'_>,
                ) -> Result<Self, $crate::endpoint::ArgumentError> {
                    let read = Self { $($argument: arguments.$place(stringify!($argument))?),* };
                    $crate::endpoint::declare::only_arguments!(arguments, $($place $argument),*);
                    Ok(read)
                }
            }
        )*
    };
}

/// Declares the type of an endpoint: a unit where there are no arguments.
macro_rules! endpoint_type {
    ($(#[$doc:meta])+ $name:ident {}) => {
        $(#[$doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name;
    };
    ($(#[$doc:meta])+ $name:ident { $($(#[$argument_doc:meta])+ $argument:ident: $type:ty),+ }) => {
        $(#[$doc])+
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name {
            $($(#[$argument_doc])+ pub $argument: $type,)+
        }
    };
}

/// Describes an argument.
macro_rules! parameter {
    (path $argument:ident: $type:ty, $description:expr) => {
        $crate::endpoint::Parameter {
            name: stringify!($argument),
            place: $crate::endpoint::Place::Path,
            description: $description,
            form: <$type as $crate::endpoint::Argument>::FORM,
        }
    };
    (query $argument:ident: $type:ty, $description:expr) => {
        $crate::endpoint::Parameter {
            name: stringify!($argument),
            place: $crate::endpoint::Place::Query,
            description: $description,
            form: <$type as $crate::endpoint::QueryArgument>::FORM,
        }
    };
}

/// Refuses a query with unknown arguments where the endpoint has any; a query that nothing reads is left alone.
macro_rules! only_arguments {
    ($arguments:ident, $(path $in_path:ident),*) => {
        let _ = $arguments;
    };
    ($arguments:ident, $(path $in_path:ident,)* $(query $argument:ident),+) => {
        $arguments.only(&[$(stringify!($argument)),+])?;
    };
}

pub(crate) use {endpoint_type, endpoints, only_arguments, parameter};
