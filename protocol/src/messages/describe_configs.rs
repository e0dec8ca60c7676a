//! DescribeConfigs: configs of topics, brokers and others.

use crate::error_code::ErrorCode;
use crate::wire::messages;

messages! {
    /// Request 32. Configs of topics, brokers and others.
    struct DescribeConfigsRequest<'a> [1..=4, flexible (4..)] {
        /// One entry a resource.
        resources: Vec<DescribeConfigsResource<'a>> [0..];
        /// Whether to list all places that a value could come from.
        include_synonyms: bool [1..];
        /// Whether to send each config's documentation.
        include_documentation: bool [3..];
    }

    /// A resource asked about.
    struct DescribeConfigsResource<'a> {
        /// The type of resource: 2 topic, 4 broker, 8 logger, 16 client metrics, 32 group.
        resource_type: i8 [0..];
        /// The resource's name.
        resource_name: &'a str [0..];
        /// The configs asked for; null or empty asks for all.
        configuration_keys: Option<Vec<&'a str>> [0..] = Some(Vec::new());
    }

    /// The answer to [`DescribeConfigsRequest`].
    struct DescribeConfigsResponse<'a> [1..=4, flexible (4..)] {
        /// How long the client shall wait because of a quota, in ms; 0 when it need not.
        throttle_time_ms: i32 [0..];
        /// One entry for each thing asked for.
        results: Vec<DescribeConfigsResult<'a>> [0..];
    }

    /// A resource's configs.
    struct DescribeConfigsResult<'a> {
        /// What went wrong, or [`ErrorCode::NONE`].
        error_code: ErrorCode [0..];
        /// What went wrong, for people; null when nothing did or there is nothing to say.
        error_message: Option<&'a str> [0..] = Some("");
        /// The type of resource: 2 topic, 4 broker, 8 logger, 16 client metrics, 32 group.
        resource_type: i8 [0..];
        /// The resource's name.
        resource_name: &'a str [0..];
        /// One entry a config.
        configs: Vec<DescribeConfigsResourceResult<'a>> [0..];
    }

    /// A config.
    struct DescribeConfigsResourceResult<'a> {
        /// The config.
        name: &'a str [0..];
        /// The config's value; null when it is sensitive.
        value: Option<&'a str> [0..] = Some("");
        /// Whether the config cannot be changed while the broker runs.
        read_only: bool [0..];
        /// Where the value comes from: 1 topic, 2 broker, 3 all brokers, 4 file, 5 default, 6
        /// logger, 7 client metrics, 8 group.
        config_source: i8 [1.., ignorable] = -1;
        /// Whether the value is a secret and kept back.
        is_sensitive: bool [0..];
        /// All places that define the config, the strongest first.
        synonyms: Vec<DescribeConfigsSynonym<'a>> [1.., ignorable];
        /// The type: 1 boolean, 2 string, 3 int, 4 short, 5 long, 6 double, 7 list, 8 class, 9
        /// password.
        config_type: i8 [3.., ignorable];
        /// The config's documentation, when asked for.
        documentation: Option<&'a str> [3.., ignorable] = Some("");
    }

    /// A place that defines a config.
    struct DescribeConfigsSynonym<'a> {
        /// The config at this place, which may have another name.
        name: &'a str [1..];
        /// The value at this place; null when it is sensitive.
        value: Option<&'a str> [1..] = Some("");
        /// Where the value comes from; numbers as in `config_source`.
        source: i8 [1..];
    }
}
