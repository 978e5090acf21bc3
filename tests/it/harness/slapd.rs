//! A directory of people: OpenLDAP's slapd, with its data in a temporary directory, on free loopback ports.

use super::keys::Pair;
use super::process::{Process, run};
use super::servers::free_port;
use super::{PATIENCE, eventually};
use std::fmt::Write as _;
use std::fs;
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Instant;
use tempfile::TempDir;

pub const BASE: &str = "dc=acme,dc=example";

/// Password of the account of the gateway, and of everybody else.
pub const GATEWAY_PASSWORD: &str = "gateway's own";
pub const PASSWORD: &str = "correct horse";

/// Runs until dropped.
pub struct Slapd {
    process: Option<Process>,
    place: TempDir,
    /// Plain, and where a connection may begin TLS.
    pub port: u16,
    /// TLS from the beginning.
    pub tls_port: u16,
    pub pair: Pair,
}

impl Slapd {
    pub fn start() -> Self {
        let place = tempfile::tempdir().unwrap();
        let pair = Pair::rsa("the directory");
        let path = |name: &str| place.path().join(name).display().to_string();
        fs::create_dir(place.path().join("data")).unwrap();
        fs::write(path("tls.crt"), pair.certificate_pem()).unwrap();
        fs::write(path("tls.key"), pair.key_pem()).unwrap();
        fs::write(path("slapd.conf"), configuration(&place.path().display().to_string())).unwrap();
        let mut slapd = Self { process: None, place, port: free_port(), tls_port: free_port(), pair };
        slapd.run();
        slapd.load(&people());
        slapd
    }

    /// Starts it, or starts it again at the same ports.
    pub fn run(&mut self) {
        let path = |name: &str| self.place.path().join(name);
        let addresses = format!("ldap://127.0.0.1:{}/ ldaps://127.0.0.1:{}/", self.port, self.tls_port);
        let program = if fs::exists("/usr/sbin/slapd").unwrap() { "/usr/sbin/slapd" } else { "slapd" };
        let mut command = Command::new(program);
        // -d keeps it from going away into the background.
        command.arg("-f").arg(path("slapd.conf")).args(["-h", &addresses, "-d", "0"]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(path("log")).unwrap());
        self.process = Some(Process::start(&mut command, "slapd"));
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.tls_port)).is_err() {
            assert!(Instant::now() < deadline, "slapd does not start: {}", fs::read_to_string(path("log")).unwrap());
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    pub fn stop(&mut self) {
        self.process.take().unwrap().terminate();
    }

    /// Adds and changes entries, as LDIF.
    pub fn load(&self, ldif: &str) {
        let path = self.place.path().join("load.ldif");
        fs::write(&path, ldif).unwrap();
        let url = format!("ldap://127.0.0.1:{}", self.port);
        let admin = format!("cn=admin,{BASE}");
        run("ldapmodify", &["-x", "-a", "-H", &url, "-D", &admin, "-w", "admin", "-f", &path.display().to_string()], "ldap-utils");
    }

    /// The value of an attribute of an entry, as the directory's own tools see it.
    pub fn value(&self, dn: &str, attribute: &str) -> String {
        let url = format!("ldap://127.0.0.1:{}", self.port);
        let admin = format!("cn=admin,{BASE}");
        let arguments = ["-x", "-LLL", "-o", "ldif-wrap=no", "-H", &url, "-D", &admin, "-w", "admin", "-s", "base", "-b", dn, attribute];
        let found = run("ldapsearch", &arguments, "ldap-utils");
        let line = found.lines().find_map(|line| line.strip_prefix(&format!("{attribute}: ")));
        line.unwrap_or_else(|| panic!("no {attribute}: {found}")).to_owned()
    }

    /// Lines of `[connection.ldap]` with search, and more.
    pub fn toml(&self, more: &str) -> String {
        self.toml_at(&format!("ldap://127.0.0.1:{}", self.port), more)
    }

    pub fn toml_at(&self, server: &str, more: &str) -> String {
        format!(
            "name = \"staff\"\ndisplay_name = \"Acme's staff\"\n[connection.ldap]\nservers = [\"{server}\"]\n\
             bind_dn = \"cn=gateway,{BASE}\"\nbind_password = \"{GATEWAY_PASSWORD}\"\nuser_base = \"ou=people,{BASE}\"\n{more}\n"
        )
    }

    /// Waits until nobody answers at its port.
    pub async fn is_gone(&self) {
        eventually("the end of slapd", async || TcpStream::connect(("127.0.0.1", self.port)).is_err().then_some(())).await;
    }
}

fn configuration(place: &str) -> String {
    let schemas: String = ["core", "cosine", "inetorgperson"].map(|name| format!("include /etc/ldap/schema/{name}.schema\n")).concat();
    format!(
        "{schemas}\
         attributetype ( 1.2.840.113556.1.4.2 NAME 'objectGUID' SYNTAX 1.3.6.1.4.1.1466.115.121.1.40 SINGLE-VALUE )\n\
         objectclass ( 1.3.6.1.4.1.4203.666.1 NAME 'acmeAccount' SUP top AUXILIARY MAY objectGUID )\n\
         pidfile {place}/pid\nargsfile {place}/args\nmodulepath /usr/lib/ldap\nmoduleload back_mdb\nmoduleload memberof\nmoduleload ppolicy\n\
         TLSCertificateFile {place}/tls.crt\nTLSCertificateKeyFile {place}/tls.key\n\
         database mdb\nsuffix \"{BASE}\"\nrootdn \"cn=admin,{BASE}\"\nrootpw admin\ndirectory {place}/data\ndbnosync\n\
         index objectClass,uid,member eq\n\
         limits dn.exact=\"cn=gateway,{BASE}\" size.soft=250 size.hard=250 size.pr=250 size.prtotal=unlimited\n\
         overlay memberof\nmemberof-dangling ignore\noverlay ppolicy\nppolicy_use_lockout\n\
         access to attrs=userPassword by anonymous auth by * none\n\
         access to * by dn.exact=\"cn=gateway,{BASE}\" read by users read by anonymous auth\n"
    )
}

/// The tree with the people that tests sign in as.
fn people() -> String {
    let mut ldif = format!(
        "dn: {BASE}\nobjectClass: dcObject\nobjectClass: organization\ndc: acme\no: Acme\n\n\
         dn: cn=gateway,{BASE}\nobjectClass: organizationalRole\nobjectClass: simpleSecurityObject\ncn: gateway\nuserPassword: {GATEWAY_PASSWORD}\n\n"
    );
    for unit in ["people", "groups", "policies"] {
        write!(ldif, "dn: ou={unit},{BASE}\nobjectClass: organizationalUnit\nou: {unit}\n\n").unwrap();
    }
    for (policy, rules) in
        [("old", "pwdMaxAge: 1\n"), ("reset", "pwdMustChange: TRUE\n"), ("strict", "pwdLockout: TRUE\npwdMaxFailure: 1\n")]
    {
        write!(
            ldif,
            "dn: cn={policy},ou=policies,{BASE}\nobjectClass: pwdPolicy\nobjectClass: device\ncn: {policy}\npwdAttribute: userPassword\n{rules}\n"
        )
        .unwrap();
    }
    let policy = |name: &str| format!("pwdPolicySubentry: cn={name},ou=policies,{BASE}\n");
    for (uid, name, more) in [
        ("jane", "Jane Doe", "mail: jane@acme.example\ndepartmentNumber: 7\njpegPhoto:: /9j/4A==\n".to_owned()),
        ("joe", "Joe Roe", "objectClass: acmeAccount\nobjectGUID:: MyIRAFVEd2aImaq7zN3u/w==\n".to_owned()),
        ("o*(l\\iver)", "Oliver Odd", String::new()),
        ("twin", "Twin One", "mail: twins@acme.example\n".to_owned()),
        ("twin2", "Twin Two", "mail: twins@acme.example\n".to_owned()),
        ("nopassword", "No Password", String::new()),
        ("expired", "Exp Ired", policy("old")),
        ("reset", "Re Set", policy("reset") + "pwdReset: TRUE\n"),
        ("strict", "St Rict", policy("strict")),
    ] {
        let (given, family) = name.split_once(' ').unwrap();
        // RFC 4514 2.4: what is special in a DN.
        let rdn = uid.replace('\\', "\\\\");
        let password = if uid == "nopassword" { String::new() } else { format!("userPassword: {PASSWORD}\n") };
        write!(
            ldif,
            "dn: uid={rdn},ou=people,{BASE}\nobjectClass: inetOrgPerson\nuid: {uid}\ncn: {name}\nsn: {family}\ngivenName: {given}\n{password}{more}\n"
        )
        .unwrap();
    }
    for (group, members) in [
        ("wiki", vec!["uid=jane,ou=people"]),
        ("staff", vec!["uid=jane,ou=people", "uid=joe,ou=people"]),
        ("everybody", vec!["cn=staff,ou=groups"]),
        // Round in a circle.
        ("world", vec!["cn=everybody,ou=groups", "cn=world,ou=groups"]),
    ] {
        let members: String = members.iter().map(|member| format!("member: {member},{BASE}\n")).collect();
        write!(ldif, "dn: cn={group},ou=groups,{BASE}\nobjectClass: groupOfNames\ncn: {group}\n{members}\n").unwrap();
    }
    ldif
}
