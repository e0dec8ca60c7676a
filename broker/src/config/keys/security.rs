//! Authentication, TLS and authorization.

use super::keys;
use crate::config::ConfigDef;

pub(super) const KEYS: &[ConfigDef] = keys! {
    String "authorizer.class.name" = "", Any, ReadOnly, NotYet,
        "The class that checks ACLs. Empty allows everything, and is all that Ottla serves.";
    Class "principal.builder.class" =
        "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder", Any,
        PerBroker, NotYet,
        "The class that names the user of a connection.";
    String "security.providers" = null, Any, ReadOnly, NoEffect,
        "Classes of JVM security providers.";
    Password "delegation.token.secret.key" = null, Any, ReadOnly, NotYet,
        "The key that delegation tokens are signed with.";
    Long "delegation.token.max.lifetime.ms" = "604800000", AtLeast(1), ReadOnly, NotYet,
        "Longest life of a delegation token, renewals included.";
    Long "delegation.token.expiry.time.ms" = "86400000", AtLeast(1), ReadOnly, NotYet,
        "Life of a delegation token unless renewed.";
    Long "delegation.token.expiry.check.interval.ms" = "3600000", AtLeast(1), ReadOnly, NotYet,
        "How often expired delegation tokens are removed.";
    List "sasl.enabled.mechanisms" = "GSSAPI", Any, PerBroker, NotYet,
        "SASL mechanisms that are offered.";
    String "sasl.mechanism.inter.broker.protocol" = "GSSAPI", Any, PerBroker, NoEffect,
        "The SASL mechanism among brokers.";
    String "sasl.mechanism.controller.protocol" = "GSSAPI", Any, ReadOnly, NoEffect,
        "The SASL mechanism towards the controller.";
    Password "sasl.jaas.config" = null, Any, PerBroker, NotYet,
        "Login modules and their users, in JAAS syntax.";
    Class "sasl.server.callback.handler.class" = null, Any, ReadOnly, NotYet,
        "A class that answers a SASL mechanism's questions.";
    Int "sasl.server.max.receive.size" = "524288", Any, ReadOnly, NotYet,
        "The largest SASL message.";
    Class "sasl.client.callback.handler.class" = null, Any, ReadOnly, NoEffect,
        "A class that answers for the client side of SASL.";
    Class "sasl.login.callback.handler.class" = null, Any, ReadOnly, NoEffect,
        "A class that answers a login module's questions.";
    Class "sasl.login.class" = null, Any, ReadOnly, NoEffect,
        "A class that logs in.";
    Int "sasl.login.connect.timeout.ms" = null, Any, ReadOnly, NoEffect,
        "How long connecting to an identity provider may take.";
    Int "sasl.login.read.timeout.ms" = null, Any, ReadOnly, NoEffect,
        "How long reading from an identity provider may take.";
    Short "sasl.login.refresh.buffer.seconds" = "300", Any, PerBroker, NoEffect,
        "Rest of a credential's life at which it is refreshed.";
    Short "sasl.login.refresh.min.period.seconds" = "60", Any, PerBroker, NoEffect,
        "Shortest time between two refreshes of a credential.";
    Double "sasl.login.refresh.window.factor" = "0.8", Any, PerBroker, NoEffect,
        "Share of a credential's life after which it is refreshed.";
    Double "sasl.login.refresh.window.jitter" = "0.05", Any, PerBroker, NoEffect,
        "Random share added to the time of a refresh.";
    Long "sasl.login.retry.backoff.ms" = "100", Any, ReadOnly, NoEffect,
        "First wait after a failed login.";
    Long "sasl.login.retry.backoff.max.ms" = "10000", Any, ReadOnly, NoEffect,
        "Longest wait after a failed login.";
    String "sasl.kerberos.kinit.cmd" = "/usr/bin/kinit", Any, PerBroker, NoEffect,
        "Path of kinit.";
    Long "sasl.kerberos.min.time.before.relogin" = "60000", Any, PerBroker, NoEffect,
        "Shortest time between two Kerberos logins.";
    List "sasl.kerberos.principal.to.local.rules" = "DEFAULT", Any, PerBroker, NotYet,
        "Rules that turn Kerberos principals into short names.";
    String "sasl.kerberos.service.name" = null, Any, PerBroker, NotYet,
        "Kafka's Kerberos service name.";
    Double "sasl.kerberos.ticket.renew.jitter" = "0.05", Any, PerBroker, NoEffect,
        "Random share added to the time of a ticket's renewal.";
    Double "sasl.kerberos.ticket.renew.window.factor" = "0.8", Any, PerBroker, NoEffect,
        "Share of a ticket's life after which it is renewed.";
    String "sasl.oauthbearer.assertion.algorithm" =
        "RS256", OneOfIgnoringCase(&["ES256", "RS256"]), ReadOnly, NoEffect,
        "Signing algorithm of a client assertion.";
    String "sasl.oauthbearer.assertion.claim.aud" = null, Any, ReadOnly, NoEffect,
        "Audience of a client assertion.";
    Int "sasl.oauthbearer.assertion.claim.exp.seconds" =
        "300", Between(0, 86_400), ReadOnly, NoEffect,
        "How long a client assertion is valid.";
    String "sasl.oauthbearer.assertion.claim.iss" = null, Any, ReadOnly, NoEffect,
        "Issuer of a client assertion.";
    Bool "sasl.oauthbearer.assertion.claim.jti.include" = "false", Any, ReadOnly, NoEffect,
        "Whether a client assertion carries a unique id.";
    Int "sasl.oauthbearer.assertion.claim.nbf.seconds" = "60", Between(0, 3600), ReadOnly, NoEffect,
        "How far back the validity of a client assertion starts.";
    String "sasl.oauthbearer.assertion.claim.sub" = null, Any, ReadOnly, NoEffect,
        "Subject of a client assertion.";
    String "sasl.oauthbearer.assertion.file" = null, Any, ReadOnly, NoEffect,
        "File of a ready-made client assertion.";
    String "sasl.oauthbearer.assertion.private.key.file" = null, Any, ReadOnly, NoEffect,
        "File of the key that signs client assertions.";
    Password "sasl.oauthbearer.assertion.private.key.passphrase" = null, Any, ReadOnly, NoEffect,
        "Passphrase of the key that signs client assertions.";
    String "sasl.oauthbearer.assertion.template.file" = null, Any, ReadOnly, NoEffect,
        "File with fixed claims of client assertions.";
    String "sasl.oauthbearer.client.credentials.client.id" = null, Any, ReadOnly, NoEffect,
        "Client id at the identity provider.";
    Password "sasl.oauthbearer.client.credentials.client.secret" = null, Any, ReadOnly, NoEffect,
        "Client secret at the identity provider.";
    Int "sasl.oauthbearer.clock.skew.seconds" = "30", Any, ReadOnly, NotYet,
        "Difference of clocks that is forgiven when a token is checked.";
    List "sasl.oauthbearer.expected.audience" = "", Any, ReadOnly, NotYet,
        "Audiences that a token may name.";
    String "sasl.oauthbearer.expected.issuer" = null, Any, ReadOnly, NotYet,
        "The issuer that a token must name.";
    String "sasl.oauthbearer.jwks.endpoint.url" = null, Any, ReadOnly, NotYet,
        "Where the provider's public keys are.";
    Long "sasl.oauthbearer.jwks.endpoint.refresh.ms" = "3600000", Any, ReadOnly, NotYet,
        "How often the provider's public keys are read again.";
    Long "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms" = "100", Any, ReadOnly, NotYet,
        "First wait after the provider's keys could not be read.";
    Long "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms" = "10000", Any, ReadOnly, NotYet,
        "Longest wait after the provider's keys could not be read.";
    Class "sasl.oauthbearer.jwt.retriever.class" =
        "org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever", Any, ReadOnly, NoEffect,
        "The class that gets tokens.";
    Class "sasl.oauthbearer.jwt.validator.class" =
        "org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator", Any, ReadOnly, NotYet,
        "The class that checks tokens.";
    String "sasl.oauthbearer.scope" = null, Any, ReadOnly, NoEffect,
        "Scope that a token is asked for.";
    String "sasl.oauthbearer.scope.claim.name" = "scope", Any, ReadOnly, NotYet,
        "The token's claim that holds the scope.";
    String "sasl.oauthbearer.sub.claim.name" = "sub", Any, ReadOnly, NotYet,
        "The token's claim that holds the user.";
    String "sasl.oauthbearer.token.endpoint.url" = null, Any, ReadOnly, NoEffect,
        "Where the provider issues tokens.";
    Bool "ssl.allow.dn.changes" = "false", Any, ReadOnly, NotYet,
        "Whether a new certificate may have another distinguished name.";
    Bool "ssl.allow.san.changes" = "false", Any, ReadOnly, NotYet,
        "Whether a new certificate may lack old alternative names.";
    List "ssl.cipher.suites" = "", Any, PerBroker, NotYet,
        "Cipher suites that are offered; empty for the default ones.";
    String "ssl.client.auth" = "none", OneOf(&["required", "requested", "none"]), PerBroker, NotYet,
        "Whether clients show a certificate: required, requested or none.";
    List "ssl.enabled.protocols" = "TLSv1.2,TLSv1.3", Any, PerBroker, NotYet,
        "TLS versions that are offered.";
    String "ssl.endpoint.identification.algorithm" = "https", Any, PerBroker, NoEffect,
        "How the name in the other broker's certificate is checked.";
    Class "ssl.engine.factory.class" = null, Any, PerBroker, NotYet,
        "The class that makes TLS engines.";
    Password "ssl.key.password" = null, Any, PerBroker, NotYet,
        "Password of the private key.";
    String "ssl.keymanager.algorithm" = "SunX509", Any, PerBroker, NoEffect,
        "Algorithm of the JVM's key manager.";
    Password "ssl.keystore.certificate.chain" = null, Any, PerBroker, NotYet,
        "Certificate chain as PEM text.";
    Password "ssl.keystore.key" = null, Any, PerBroker, NotYet,
        "Private key as PEM text.";
    String "ssl.keystore.location" = null, Any, PerBroker, NotYet,
        "File of the key store.";
    Password "ssl.keystore.password" = null, Any, PerBroker, NotYet,
        "Password of the key store.";
    String "ssl.keystore.type" = "JKS", Any, PerBroker, NotYet,
        "Format of the key store: JKS, PKCS12 or PEM.";
    String "ssl.principal.mapping.rules" = "DEFAULT", Any, ReadOnly, NotYet,
        "Rules that turn certificate names into user names.";
    String "ssl.protocol" = "TLSv1.3", Any, PerBroker, NotYet,
        "The TLS version that contexts are made with.";
    String "ssl.provider" = null, Any, PerBroker, NoEffect,
        "Name of the JVM's TLS provider.";
    String "ssl.secure.random.implementation" = null, Any, PerBroker, NoEffect,
        "The JVM's random source for TLS.";
    String "ssl.trustmanager.algorithm" = "PKIX", Any, PerBroker, NoEffect,
        "Algorithm of the JVM's trust manager.";
    Password "ssl.truststore.certificates" = null, Any, PerBroker, NotYet,
        "Trusted certificates as PEM text.";
    String "ssl.truststore.location" = null, Any, PerBroker, NotYet,
        "File of the trust store.";
    Password "ssl.truststore.password" = null, Any, PerBroker, NotYet,
        "Password of the trust store.";
    String "ssl.truststore.type" = "JKS", Any, PerBroker, NotYet,
        "Format of the trust store: JKS, PKCS12 or PEM.";
};
