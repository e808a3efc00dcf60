//! TLS: whom to trust of those we dial, and what is said when trust fails; and who we are to those that dial us.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{CertificateError, ClientConfig, ClientConnection, RootCertStore, ServerConfig};

/// Why the configuration cannot be made.
#[derive(Debug)]
pub struct TlsConfigError {
    file: PathBuf,
    why: String,
}

impl fmt::Display for TlsConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.file.display(), self.why)
    }
}

impl std::error::Error for TlsConfigError {}

/// A configuration that trusts the system's authorities and those of `ca_files` (PEM, any number in each).
pub fn client_config(ca_files: &[PathBuf]) -> Result<Arc<ClientConfig>, TlsConfigError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::warn!(%error, "a system certificate authority could not be read");
    }
    roots.add_parsable_certificates(system.certs);
    for file in ca_files {
        add_file(&mut roots, file).map_err(|why| TlsConfigError {
            file: file.clone(),
            why,
        })?;
    }
    if roots.is_empty() {
        tracing::warn!("no certificate authority is known: no wss connection will be trusted");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TlsConfigError {
            file: PathBuf::new(),
            why: error.to_string(),
        })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn add_file(roots: &mut RootCertStore, file: &Path) -> Result<(), String> {
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| error.to_string())?;
    let before = roots.len();
    for certificate in certificates {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.len() == before {
        Err("there is no certificate in it".into())
    } else {
        Ok(())
    }
}

/// A configuration that shows the certificates of one file, with the key of another (PEM both).
pub fn server_config(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsConfigError> {
    let wrong = |file: &Path| {
        let file = file.to_path_buf();
        move |why: String| TlsConfigError { file, why }
    };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| error.to_string())
        .map_err(wrong(certificate))?;
    let private = PrivateKeyDer::from_pem_file(key)
        .map_err(|error| error.to_string())
        .map_err(wrong(key))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_no_client_auth())
        .and_then(|builder| builder.with_single_cert(chain, private))
        .map_err(|error| error.to_string())
        .map_err(wrong(certificate))?;
    Ok(Arc::new(config))
}

/// The client side of one connection to `host`, a name or an address.
pub fn connection(config: &Arc<ClientConfig>, host: &str) -> Result<ClientConnection, String> {
    let name =
        ServerName::try_from(host.to_string()).map_err(|_| format!("{host} is no name a certificate has"))?;
    ClientConnection::new(config.clone(), name).map_err(|error| error.to_string())
}

/// What went wrong, for the one who has to mend it.
pub fn explain(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "certificate not trusted: its issuer is unknown (a private CA is named with --ca-file)".into()
        }
        rustls::Error::InvalidCertificate(why) => format!("certificate not trusted: {why}"),
        rustls::Error::InvalidMessage(_) => "the server does not speak TLS".into(),
        other => other.to_string(),
    }
}
