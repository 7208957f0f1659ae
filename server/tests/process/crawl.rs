//! What answers at all: thousands of paths where servers are known to leave something lying about.

use sealpost_api::endpoints;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::world::World;

/// Names of pages that tell, or let do, what strangers should not know or do.
const WORDS: &str = "metrics metric prometheus debug debug/vars debug/pprof pprof profile profiler trace traces heap heapdump \
    heap-dump dump dumps threaddump threads goroutine allocs mutex block cmdline symbol gc memory mem cpu stats stat status \
    server-status server-info nginx_status stub_status health healthz healthcheck ready readyz readiness live livez liveness \
    ping version info about env environ environment config configuration configprops settings properties beans mappings \
    loggers logfile log logs access.log error.log audit audit.log shutdown restart refresh pause resume reload jolokia \
    hystrix.stream actuator actuator/heapdump actuator/env management manage manager admin admin.sock administrator console \
    shell exec eval cmd run sql db database db.sqlite sealpost.db sealpost.db-wal dump.sql backup backups backup.zip backup.tar.gz \
    users user accounts account sessions session devices device prekeys keys key token tokens token_keys.json secrets secret \
    pepper invites invite queues queue messages login logout register signup password identity identity/current stream ws \
    socket socket.io websocket api apis rest graphql graphiql playground openapi openapi.json openapi.yaml swagger \
    swagger.json swagger-ui swagger-ui.html api-docs docs doc redoc rapidoc internal private hidden system sys test tests \
    testing dev devtools staging upload uploads files file static assets public index.html index.php default.aspx \
    robots.txt favicon.ico sitemap.xml crossdomain.xml security.txt .well-known/security.txt .well-known/openid-configuration \
    .well-known/jwks.json jwks.json .env .env.local .git .git/HEAD .git/config .svn/entries .hg .DS_Store .htaccess .htpasswd \
    .ssh/id_rsa .aws/credentials .bash_history Dockerfile docker-compose.yml Cargo.toml Cargo.lock package.json composer.json \
    web.config web.xml WEB-INF/web.xml phpinfo.php info.php phpmyadmin wp-admin wp-login.php xmlrpc.php cgi-bin cgi-bin/test \
    server wsman telescope horizon _profiler _debugbar __debug__ elmah.axd trace.axd solr jenkins consul etcd vault kibana \
    grafana proxy redirect forward echo headers whoami id uptime time date ip host hosts etc/passwd proc/self/environ";
const PREFIXES: [&str; 11] =
    ["/", "/v1/", "/v2/", "/api/", "/api/v1/", "/debug/", "/admin/", "/internal/", "/actuator/", "/v1/accounts/", "//"];
const SUFFIXES: [&str; 6] = ["", "/", ".json", ".bak", "?debug=1", "/all"];

/// Every name under every prefix with every suffix.
fn paths() -> Vec<String> {
    let words = || WORDS.split_whitespace();
    PREFIXES
        .iter()
        .flat_map(|prefix| words().flat_map(move |word| SUFFIXES.map(|suffix| format!("{prefix}{word}{suffix}"))))
        .collect()
}

/// Returns whether the API, and so the OpenAPI document, has this path.
fn is_documented(path: &str) -> bool {
    let path: Vec<&str> = path.split('?').next().unwrap().split('/').collect();
    endpoints::all().any(|route| {
        let pattern: Vec<&str> = route.path.split('/').collect();
        let alike = |(pattern, part): (&&str, &&str)| pattern == part || (pattern.starts_with('{') && !part.is_empty());
        pattern.len() == path.len() && pattern.iter().zip(&path).all(alike)
    })
}

/// The statuses of one path after the other, on one connection.
async fn crawl(stream: impl AsyncRead + AsyncWrite + Unpin, paths: &[String]) -> Vec<u16> {
    let mut stream = BufReader::new(stream);
    let mut statuses = Vec::new();
    for path in paths {
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        let length =
            head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |text| text.parse().unwrap());
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.unwrap();
        statuses.push(head.split(' ').nth(1).unwrap().parse().unwrap());
    }
    statuses
}

#[tokio::test]
async fn threat_68_of_ten_thousand_common_paths_only_the_documented_ones_answer() {
    let mut world = World::new();
    let config = world.file("limits.toml");
    std::fs::write(&config, "[limits]\nrequests_address = { burst = 1000000, tokens = 1000000, per_seconds = 1 }\n")
        .unwrap();
    let server = world.start(&["--listen", "127.0.0.1:0", "--config", config.to_str().unwrap()]);
    let paths = paths();
    assert!(paths.len() >= 10_000, "{}", paths.len());
    let statuses = crawl(server.client().tls().await.unwrap(), &paths).await;
    let mut open = Vec::new();
    for (path, status) in paths.iter().zip(statuses) {
        match status {
            // Documented, and for those who may: with a token, by another method, or with an id where a word stood.
            400 | 401 | 405 => assert!(is_documented(path), "{path}: {status}"),
            404 => assert!(!is_documented(path), "{path}: {status}"),
            200 => open.push(path.split('?').next().unwrap()),
            _ => panic!("{path}: {status}"),
        }
    }
    open.dedup();
    assert_eq!(open, ["/healthz", "/readyz", "/v1/openapi.json", "/v1/server"]);

    let private = server.text("private");
    let stream = TcpStream::connect(private.strip_prefix("http://").unwrap()).await.unwrap();
    let statuses = crawl(stream, &paths).await;
    let open = paths
        .iter()
        .zip(statuses)
        .filter(|(_, status)| *status != 404)
        .map(|(path, _)| path.split('?').next().unwrap());
    let mut open: Vec<&str> = open.collect();
    open.dedup();
    assert_eq!(open, ["/metrics", "/healthz", "/readyz"]);
}
