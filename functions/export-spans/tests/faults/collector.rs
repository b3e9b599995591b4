//! A collector on loopback that misbehaves as it is told.

use std::io::Read as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Status line and headers, then a body.
    Whole(&'static str, Vec<u8>),
    /// A gigabyte of it, as far as the other side reads.
    Gigabyte,
    OneByteASecond,
    /// Says that a hundred bytes come, and closes after three.
    HangUpMidBody,
    HangUp,
    /// Takes requests of so many bytes, unpacked, and answers larger ones with 413.
    TakesUpTo(usize),
}

pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf";

#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// Lower case.
    pub(crate) head: String,
    pub(crate) request: ExportTraceServiceRequest,
    /// Of the body, unpacked.
    pub(crate) bytes: usize,
}

pub(crate) struct Collector {
    pub(crate) port: u16,
    answer: Arc<Mutex<Answer>>,
    received: Arc<Mutex<Vec<Received>>>,
    /// Bytes of body that it could send.
    sent: Arc<Mutex<u64>>,
}

impl Collector {
    pub(crate) async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let collector = Self {
            port: listener.local_addr().unwrap().port(),
            answer: Arc::new(Mutex::new(answer)),
            received: Arc::default(),
            sent: Arc::default(),
        };
        let (answer, received, sent) = (
            Arc::clone(&collector.answer),
            Arc::clone(&collector.received),
            Arc::clone(&collector.sent),
        );
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let answer = answer.lock().unwrap().clone();
                let (received, sent) = (Arc::clone(&received), Arc::clone(&sent));
                tokio::spawn(async move {
                    let _ = serve(socket, answer, &received, &sent).await;
                });
            }
        });
        collector
    }

    pub(crate) fn answer_with(&self, answer: Answer) {
        *self.answer.lock().unwrap() = answer;
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Spans of all requests, in the order they came.
    pub(crate) fn spans(&self) -> Vec<Span> {
        let received = self.received().into_iter();
        received
            .flat_map(|received| received.request.resource_spans)
            .flat_map(|resource| resource.scope_spans)
            .flat_map(|scope| scope.spans)
            .collect()
    }

    pub(crate) fn sent(&self) -> u64 {
        *self.sent.lock().unwrap()
    }
}

async fn serve(
    mut socket: TcpStream,
    answer: Answer,
    received: &Mutex<Vec<Received>>,
    sent: &Mutex<u64>,
) -> std::io::Result<()> {
    let request = read_request(&mut socket).await?;
    let answer = match answer {
        Answer::TakesUpTo(bytes) if request.bytes > bytes => {
            Answer::Whole("HTTP/1.1 413 Payload Too Large", Vec::new())
        }
        answer => {
            received.lock().unwrap().push(request);
            answer
        }
    };
    match answer {
        Answer::TakesUpTo(_) => {
            let head = format!("{OK}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            socket.write_all(head.as_bytes()).await?;
        }
        Answer::Whole(head, body) => {
            let length = body.len();
            let head = format!("{head}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            socket.write_all(head.as_bytes()).await?;
            socket.write_all(&body).await?;
        }
        Answer::Gigabyte => {
            let head = format!("{OK}\r\ncontent-length: {}\r\n\r\n", 1 << 30);
            socket.write_all(head.as_bytes()).await?;
            let piece = vec![0; 64 << 10];
            for _ in 0..(1 << 30) / piece.len() {
                socket.write_all(&piece).await?;
                *sent.lock().unwrap() += piece.len() as u64;
            }
        }
        Answer::OneByteASecond => {
            let head = format!("{OK}\r\ncontent-length: 1000\r\n\r\n");
            socket.write_all(head.as_bytes()).await?;
            loop {
                socket.write_all(&[0]).await?;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        Answer::HangUpMidBody => {
            let head = format!("{OK}\r\ncontent-length: 100\r\n\r\nabc");
            socket.write_all(head.as_bytes()).await?;
        }
        Answer::HangUp => {}
    }
    socket.shutdown().await
}

async fn read_request(socket: &mut TcpStream) -> std::io::Result<Received> {
    let mut bytes = Vec::new();
    loop {
        socket.read_buf(&mut bytes).await?;
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.unwrap().parse().unwrap();
        while bytes.len() < end + 4 + length {
            socket.read_buf(&mut bytes).await?;
        }
        let mut body = Vec::new();
        let packed = &bytes[end + 4..];
        if head.contains("content-encoding: gzip") {
            GzDecoder::new(packed).read_to_end(&mut body)?;
        } else {
            body.extend_from_slice(packed);
        }
        let request = ExportTraceServiceRequest::decode(body.as_slice()).unwrap();
        return Ok(Received {
            head,
            request,
            bytes: body.len(),
        });
    }
}
