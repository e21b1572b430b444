//! nginx in front of a gateway: it adds each caller's address to `X-Forwarded-For`, as it is usually configured.
//!
//! `DOORWARD_TEST_NGINX` names the program; without it, tests that need it are skipped.
use super::process::Folder;
use super::wait::{DEADLINE, skipped};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The address of this machine from which it calls the gateway.
const OWN_ADDRESS: &str = "127.0.0.53";
/// Another program may take the free port first.
const ATTEMPTS: usize = 5;

/// A running nginx.
pub(crate) struct Nginx {
    pub(crate) address: SocketAddr,
    process: Child,
    _folder: Folder,
}

impl Nginx {
    /// The address that a gateway sees.
    pub(crate) const ADDRESS: &str = OWN_ADDRESS;

    /// One in front of that address; `None` where there is no program, which is told.
    pub(crate) fn before(test: &str, gateway: SocketAddr) -> Option<Nginx> {
        let Some(program) = std::env::var_os("DOORWARD_TEST_NGINX").filter(|p| !p.is_empty()) else {
            skipped(test, "DOORWARD_TEST_NGINX is not set");
            return None;
        };
        for _ in 0..ATTEMPTS {
            let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
            let address = free.expect("a free port");
            let folder = Folder::new();
            let config = folder.write("nginx.conf", &config(&folder, address, gateway));
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "KILL", "--"]).arg(&program).args(["-c", &config, "-e"]);
            command
                .arg(folder.file("error.log"))
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            let process = command.spawn().expect("setpriv, of util-linux, runs the program");
            let mut nginx = Nginx { address, process, _folder: folder };
            if nginx.answers() {
                return Some(nginx);
            }
        }
        panic!("nginx does not start");
    }

    fn answers(&mut self) -> bool {
        let started = Instant::now();
        while started.elapsed() < DEADLINE {
            if self.process.try_wait().expect("a child").is_some() {
                return false;
            }
            if TcpStream::connect(self.address).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        false
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn config(folder: &Folder, address: SocketAddr, gateway: SocketAddr) -> String {
    let temp: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .iter()
        .map(|kind| format!("  {kind}_temp_path {};\n", folder.file(kind)))
        .collect();
    let pid = folder.file("pid");
    format!(
        "daemon off;\nmaster_process off;\npid {pid};\nevents {{}}\nhttp {{\n  access_log off;\n{temp}  server {{\n    \
         listen {address};\n    location / {{\n      proxy_pass http://{gateway};\n      proxy_bind {OWN_ADDRESS};\n      \
         proxy_set_header Host $http_host;\n      \
         proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;\n      \
         proxy_set_header X-Forwarded-Proto $scheme;\n    }}\n  }}\n}}\n"
    )
}
