//! A server that a test writes the answers of.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use ottla_protocol::api::ApiKey;
use ottla_protocol::header::{RequestHeader, ResponseHeader};
use ottla_protocol::messages::api_versions::{ApiVersion, ApiVersionsResponse};
use ottla_protocol::wire::{Message, Reader, Writer};

/// A request: its kind, version and correlation id.
pub(crate) type Asked = (i16, i16, i32);

/// Serves every connection by `serve`, until the test's process ends.
pub(crate) fn server(serve: impl Fn(TcpStream) + Send + Sync + Clone + 'static) -> SocketAddr {
    server_that_knows_itself(move |stream, _| serve(stream))
}

/// The same for one that tells its own address.
pub(crate) fn server_that_knows_itself(
    serve: impl Fn(TcpStream, SocketAddr) + Send + Sync + Clone + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let serve = serve.clone();
            thread::spawn(move || serve(stream.unwrap(), address));
        }
    });
    address
}

/// Reads a request. `None` at the connection's end.
pub(crate) fn request(stream: &mut TcpStream) -> Option<Asked> {
    whole_request(stream).map(|(asked, _)| asked)
}

/// Reads a request, and its body.
pub(crate) fn whole_request(stream: &mut TcpStream) -> Option<(Asked, Vec<u8>)> {
    let mut head = [0; 4];
    stream.read_exact(&mut head).ok()?;
    let mut frame = vec![0; u32::from_be_bytes(head) as usize];
    stream.read_exact(&mut frame).ok()?;
    let mut reader = Reader::new(&frame);
    let header = RequestHeader::read(&mut reader).unwrap();
    let asked = (header.api_key, header.api_version, header.correlation_id);
    Some((asked, reader.remaining().to_vec()))
}

/// An answer as it is sent.
pub(crate) fn framed<'a>(
    (key, version, correlation_id): Asked,
    body: &impl Message<'a>,
) -> Vec<u8> {
    let mut writer = Writer::on(vec![0; 4]);
    let api = ApiKey::from_i16(key).unwrap();
    ResponseHeader { correlation_id }.write(&mut writer, api, version);
    body.encode(&mut writer, version).unwrap();
    let mut frame = writer.finish().bytes;
    let length = frame.len() as u32 - 4;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    frame
}

pub(crate) fn answer<'a>(stream: &mut TcpStream, asked: Asked, body: &impl Message<'a>) {
    _ = stream.write_all(&framed(asked, body));
}

pub(crate) fn versions() -> ApiVersionsResponse<'static> {
    let of = |api: &ApiKey| ApiVersion {
        api_key: api.as_i16(),
        min_version: *api.versions().start(),
        max_version: *api.versions().end(),
    };
    ApiVersionsResponse { api_keys: ApiKey::ALL.iter().map(of).collect(), ..Default::default() }
}

/// Answers ApiVersions as a broker does, and everything else by `rest`.
pub(crate) fn after_versions(
    rest: impl Fn(&mut TcpStream, Asked) + Send + Sync + Clone + 'static,
) -> SocketAddr {
    server(move |mut stream| {
        while let Some(asked) = request(&mut stream) {
            if asked.0 == 18 {
                answer(&mut stream, asked, &versions());
            } else {
                rest(&mut stream, asked);
            }
        }
    })
}
