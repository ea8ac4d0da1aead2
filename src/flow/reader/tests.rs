//! What the readers promise, on whole inputs.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::unpack::Room;
use super::*;

/// Keeps what tells records apart.
#[derive(Default)]
struct Ports(Vec<(u16, u16)>);

impl Sink for Ports {
    fn record(&mut self, record: &FlowRecord<'_>) {
        self.0.push((record.src_port, record.dst_port));
    }
}

const HEADER: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status";
const CUSTOM: &str = "pkt-dstaddr tcp-flags srcaddr dstaddr dstport srcport protocol start end";

fn line(port: u16) -> String {
    format!(
        "2 123456789010 eni-1235b8ca123456789 10.0.0.220 203.0.113.5 {port} 443 6 20 4249 1418530010 1418530070 ACCEPT OK"
    )
}

fn custom_line(port: u16) -> String {
    format!("203.0.113.5 2 10.0.0.220 203.0.113.5 443 {port} 6 1418530010 1418530070")
}

fn lines(ports: impl IntoIterator<Item = u16>) -> String {
    ports.into_iter().map(|port| line(port) + "\n").collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::encode_all(bytes, 1).unwrap()
}

fn base64(bytes: &[u8]) -> String {
    const SYMBOLS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0_u32, |bits, b| bits << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            text.push(SYMBOLS[(bits >> (18 - 6 * place)) as usize & 63].into());
        }
    }
    text
}

fn inputs(contents: &[&[u8]]) -> Inputs {
    Inputs::from_memory(contents.iter().enumerate().map(|(n, bytes)| (format!("{n}.log"), bytes.to_vec())))
}

fn read_as(content: impl AsRef<[u8]>, options: &Options) -> (Result<Reading, ReadError>, Vec<u16>) {
    let mut ports = Ports::default();
    let reading = inputs(&[content.as_ref()]).read(options, &|_| {}, &mut ports);
    (reading, ports.0.into_iter().map(|(source, _)| source).collect())
}

fn read(content: impl AsRef<[u8]>) -> (Reading, Vec<u16>) {
    let (reading, ports) = read_as(content, &Options::default());
    (reading.unwrap(), ports)
}

fn refusal(content: impl AsRef<[u8]>) -> String {
    read_as(content, &Options::default()).0.unwrap_err().to_string()
}

fn custom() -> Options {
    Options { format: Some(CUSTOM.parse().unwrap()), ..Options::default() }
}

/// Ports 1 to 3 in every shape.
fn shapes() -> Vec<(&'static str, String)> {
    let events = |key: &str| {
        let events: Vec<_> = (1..4)
            .map(|port| serde_json::json!({ "timestamp": 1_418_530_010_000_u64, "message": line(port), "id": "3\"4" }))
            .collect();
        let mut document =
            serde_json::json!({ "messageType": "DATA_MESSAGE", "owner": "1234", "x": [{ "y": null }] });
        document[key] = events.into();
        document
    };
    let one = |port: u16| {
        serde_json::json!({ "timestamp": "2026-11-18T02:14:00Z", "message": line(port) }).to_string()
    };
    let envelope = events("logEvents");
    let packed = serde_json::json!({ "awslogs": { "data": base64(&gzip(envelope.to_string().as_bytes())) } });
    let control = r#"{"messageType":"CONTROL_MESSAGE","logEvents":[{"message":"CWL CONTROL MESSAGE"}]}"#;
    vec![
        ("header line", format!("{HEADER}\n{}", lines(1..4))),
        ("bare messages", lines(1..4)),
        ("no line end at the end", lines(1..4).trim_end().to_owned()),
        ("CRLF", format!("{HEADER}\n{}", lines(1..4)).replace('\n', "\r\n")),
        ("byte-order mark", format!("\u{feff}{HEADER}\n{}", lines(1..4))),
        ("empty lines", lines(1..4).replace('\n', "\n\n \n")),
        ("time stamps", (1..4).map(|port| format!("2026-11-18T02:14:00.000Z {}\n", line(port))).collect()),
        (
            "time stamps and streams",
            (1..4)
                .map(|port| format!("2026-11-18T02:14:00.000000+00:00 eni-1235b8ca-all {}\n", line(port)))
                .collect(),
        ),
        ("log events", serde_json::to_string_pretty(&events("events")).unwrap()),
        ("an array of messages", serde_json::json!([line(1), line(2), line(3)]).to_string()),
        ("JSON lines", (1..4).map(one).collect::<Vec<_>>().join("\n")),
        ("concatenated JSON", (1..4).map(one).collect()),
        ("subscription envelope", envelope.to_string()),
        ("envelopes after a control message", format!("{control}{envelope}\n{control}")),
        ("a function's event", packed.to_string()),
    ]
}

#[test]
fn every_shape_gives_the_same_records_plain_and_compressed() {
    for (name, text) in shapes() {
        let bytes = text.as_bytes();
        let packings = [
            bytes.to_vec(),
            gzip(bytes),
            zstd(bytes),
            gzip(&gzip(bytes)),
            zstd(&gzip(bytes)),
            gzip(&zstd(bytes)),
        ];
        for packed in packings {
            let (reading, ports) = read(&packed);
            assert_eq!(ports, [1, 2, 3], "{name}");
            let expected =
                Reading { records: 3, formats: vec![LogFormat::version_2()], ..Reading::default() };
            assert_eq!(reading, expected, "{name}");
        }
    }
}

#[test]
fn members_and_frames_one_after_the_other_are_all_read() {
    let (first, second) = (lines([1, 2]), lines([3]));
    for packed in [
        [gzip(first.as_bytes()), gzip(second.as_bytes())].concat(),
        [zstd(first.as_bytes()), zstd(second.as_bytes())].concat(),
    ] {
        assert_eq!(read(packed).1, [1, 2, 3]);
    }
}

#[test]
fn a_header_in_the_middle_changes_the_format() {
    let text = format!("{HEADER}\n{}{CUSTOM}\n{}\n{HEADER}\n{}", lines([1]), custom_line(2), lines([3]));
    let (reading, ports) = read(text);
    assert_eq!(ports, [1, 2, 3]);
    assert_eq!(reading.formats, [LogFormat::version_2(), CUSTOM.parse().unwrap()]);
    assert_eq!(reading.lines_rejected(), 0);
}

#[test]
fn a_header_ends_with_its_file() {
    let (first, second) = (format!("{CUSTOM}\n{}\n", custom_line(1)), lines([2]));
    let mut ports = Ports::default();
    let all = inputs(&[first.as_bytes(), second.as_bytes()]);
    let reading = all.read(&Options::default(), &|_| {}, &mut ports).unwrap();
    assert_eq!(ports.0, [(1, 443), (2, 443)]);
    assert_eq!(reading.formats.len(), 2);
}

#[test]
fn a_named_format_wins_over_the_default_and_a_header_over_both() {
    let text = format!("{}\n{}{HEADER}\n{}", custom_line(1), lines([2]), lines([3]));
    let (reading, ports) = read_as(text, &custom());
    assert_eq!(ports, [1, 3]);
    let rejected = &reading.unwrap().rejected;
    assert_eq!(rejected.len(), 1);
    assert_eq!((rejected[0].count, rejected[0].line), (1, 2));
    assert_eq!(rejected[0].reason.to_string(), "14 fields where the format has 9");
}

#[test]
fn time_stamps_go_with_a_named_format_too() {
    let text = format!("2026-11-18T02:14:00.000Z {}\n{}\n", custom_line(1), custom_line(2));
    assert_eq!(read_as(text, &custom()).1, [1, 2]);
}

#[test]
fn a_custom_format_that_nothing_names_asks_for_it() {
    let message = refusal(custom_line(1));
    assert!(message.contains("9 fields, without a header line"), "{message}");
    assert!(
        message.contains("pass --log-format with the fields as in the flow log's own format string"),
        "{message}"
    );
}

#[test]
fn fourteen_later_fields_are_not_taken_for_the_default() {
    let message = refusal(line(1).replacen('2', "5", 1));
    assert!(message.contains("14 fields, without a header line, and not in the default format"), "{message}");
}

#[test]
fn a_header_that_lacks_fields_says_so_and_nothing_is_guessed() {
    let text =
        format!("srcaddr dstaddr start end\n10.0.0.1 10.0.0.2 1 2\n{}{HEADER}\n{}", lines([1]), lines([2]));
    let (reading, ports) = read(text);
    assert_eq!(ports, [2]);
    assert_eq!(reading.rejected.len(), 1);
    assert_eq!(reading.rejected[0].count, 3);
    assert!(reading.rejected[0].reason.to_string().contains("lacks srcport, dstport, protocol"));
}

#[test]
fn bad_lines_are_counted_by_reason_and_shown_harmlessly() {
    let text = format!(
        "{}one two\n\x1b[31mthree\u{e9}\n{}{}\n",
        lines([1]),
        lines([2]),
        line(3).replace("443", "x")
    );
    let (reading, ports) = read(text);
    assert_eq!(ports, [1, 2]);
    let told: Vec<_> = reading.rejected.iter().map(|r| (r.count, r.line, r.sample.as_str())).collect();
    assert_eq!(told[0], (2, 2, "one two"));
    assert_eq!((told[1].0, told[1].1), (1, 5));
    assert_eq!(reading.rejected[1].reason.to_string(), "dstport holds no usable value");
    assert_eq!(told[1].2.len(), 80);
    assert_eq!(messages::harmless(b"\x1b[31mthree\xc3\xa9\""), "?[31mthree??\"");
}

#[test]
fn lines_without_traffic_are_counted_apart() {
    let none = "2 123456789010 eni-1235b8ca123456789 - - - - - - - 1431280876 1431280934 - NODATA";
    let (reading, ports) = read(format!("{none}\n{}\n{}", none.replace("NODATA", "SKIPDATA"), lines([1])));
    assert_eq!((reading.nodata, reading.skipdata, reading.records, ports), (1, 1, 1, vec![1]));
    assert!(read_as(none, &Options::default()).0.is_ok());
}

#[test]
fn an_over_long_line_is_one_bad_line() {
    for length in [65 * 1024, 300 * 1024, 3 * 1024 * 1024] {
        let text = format!("{}{}\n{}", lines([1]), "7 ".repeat(length / 2), lines([2]));
        let (reading, ports) = read(text);
        assert_eq!(ports, [1, 2]);
        assert_eq!(reading.lines_rejected(), 1);
        assert_eq!(reading.rejected[0].reason.to_string(), "longer than 65536 bytes");
        assert_eq!(reading.rejected[0].line, 2);
    }
    assert!(refusal("7".repeat(1024 * 1024)).contains("longer than 65536 bytes"));
}

#[test]
fn lines_across_the_edges_of_the_buffer_are_whole() {
    let ports: Vec<u16> = (0..20_000).collect();
    let text = lines(ports.clone());
    assert!(text.len() > 2_000_000);
    assert_eq!(read(&text).1, ports);
    assert_eq!(read(gzip(text.as_bytes())).1, ports);
}

#[test]
fn the_beginning_of_a_file_cut_short_counts_and_it_is_named() {
    let all: Vec<u16> = (0..60_000).collect();
    let text = lines(all.clone());
    for whole in [gzip(text.as_bytes()), zstd(text.as_bytes())] {
        let (reading, ports) = read(&whole[..whole.len() * 2 / 3]);
        assert!(ports.len() > 10_000 && all.starts_with(&ports), "{}", ports.len());
        assert_eq!(reading.rejected, []);
        assert_eq!(reading.failed.len(), 1);
        let error = &reading.failed[0].error;
        assert!(error.starts_with(&format!("damaged or cut short after {} lines", ports.len())), "{error}");
        assert!(refusal(&whole[..12]).contains("0.log: damaged or cut short"), "{}", refusal(&whole[..12]));
    }
}

#[test]
fn damaged_json_costs_one_document_of_several() {
    let one = |port| serde_json::json!({ "message": line(port) }).to_string();
    for damaged in
        ["{\"message\": tru", "{\"a\":1,", "}", "{\"x\" 1}", "{\"message\": \"\u{1}\"}", "{{", "nonsense"]
    {
        let (reading, ports) = read(format!("{}\n{damaged}\n{}\n{}", one(1), one(2), one(3)));
        assert_eq!(ports, [1, 2, 3], "{damaged}");
        assert_eq!(reading.lines_rejected(), 1, "{damaged}");
        assert_eq!((&reading.rejected[0].reason, reading.rejected[0].line), (&RejectReason::Json, 2));
        assert_eq!(reading.failed, [], "{damaged}");
    }
}

#[test]
fn json_that_breaks_off_is_named_and_what_came_before_counts() {
    let document =
        serde_json::json!({ "events": [{ "message": line(1) }, { "message": line(2) }] }).to_string();
    let (reading, ports) = read(&document[..document.len() - 3]);
    assert_eq!(ports, [1, 2]);
    let error = &reading.failed[0].error;
    assert!(
        error.starts_with("damaged JSON after 2 events, which are counted: EOF while parsing"),
        "{error}"
    );

    let (reading, ports) = read(document.replacen("}, {", "} {", 1).replacen("},{", "} {", 1));
    assert_eq!((ports, reading.failed.len()), (vec![1], 1));
}

#[test]
fn a_small_file_that_unpacks_without_end_is_left() {
    let bomb = |lines: &str, packed: &mut dyn Write| {
        packed.write_all(lines.as_bytes()).unwrap();
        let blank = vec![b'\n'; 1 << 20];
        (0..80).for_each(|_| packed.write_all(&blank).unwrap());
    };
    let mut of_zstd = zstd::Encoder::new(Vec::new(), 1).unwrap();
    bomb(&lines([1, 2]), &mut of_zstd);
    let mut of_gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    bomb(&lines([1, 2]), &mut of_gzip);
    let once = of_zstd.finish().unwrap();
    // In layers, each counts.
    for packed in [zstd(&once), once, zstd(&of_gzip.finish().unwrap())] {
        assert!(packed.len() < 400_000, "{}", packed.len());
        let (reading, ports) = read(packed);
        assert_eq!(ports, [1, 2], "what came before counts");
        assert!(reading.failed[0].error.contains("more than 1100 times its size"), "{:?}", reading.failed);
    }
    let line = lines([1]);
    let (reading, ports) = read(zstd(line.repeat(20_000_000 / line.len()).as_bytes()));
    assert!(reading.failed.is_empty() && ports.len() > 10_000, "a log may be as alike as it will");
}

#[test]
fn json_too_deep_or_too_large_is_an_error() {
    let deep = "[".repeat(1_000_000);
    assert!(refusal(&deep).contains("recursion limit exceeded"));
    let lines_of_it = "[\n".repeat(100_000);
    assert!(!refusal(&lines_of_it).is_empty());
    let huge = format!("{{\"message\": \"{}\"}}", "7".repeat(17 * 1024 * 1024));
    assert!(refusal(gzip(huge.as_bytes())).contains("one JSON value is longer than"));
}

#[test]
fn json_of_another_kind_says_what_is_expected() {
    for foreign in ["{}", "[]", r#"{"Records":[{"eventVersion":"1.08","eventName":"RunInstances"}]}"#] {
        let message = refusal(foreign);
        assert!(
            message.contains("JSON without log events: expected what aws logs filter-log-events"),
            "{message}"
        );
    }
    assert!(refusal(r#"{"events": []}"#).contains("found no log events"));
}

#[test]
fn a_damaged_envelope_is_one_bad_event() {
    for data in ["%", "QUJD", "H4sIAAAAAAAA", ""] {
        let text = format!("{{\"awslogs\":{{\"data\":\"{data}\"}}}}{{\"message\":\"{}\"}}", line(1));
        let (reading, ports) = read(text);
        assert_eq!(ports, [1]);
        assert_eq!(reading.lines_rejected(), 1, "{data}");
    }
}

#[test]
fn what_is_not_read_says_what_to_do() {
    for (content, expected) in [
        (&b""[..], "0.log: empty"),
        (b" \n\r\n", "0.log: empty"),
        (HEADER.as_bytes(), "a header line and no records"),
        #[cfg(not(feature = "parquet"))]
        (
            b"PAR1\x15\x04",
            "Parquet, which this build does not read; convert it, and read the outcome: duckdb -c",
        ),
        #[cfg(feature = "parquet")]
        (b"PAR1\x15\x04", "damaged Parquet after 0 rows"),
        (b"PK\x03\x04rest", "a zip archive, which is not read; unpack it, and read the outcome: unzip 0.log"),
        (b"\xFF\xFEa\0 \0b\0", "found 0.log, line 1: \"a b\""),
        (b"6 TransitGateway 1 tgw-01 tgw-attach-02 10.1.0.5", "a transit gateway's flow log"),
        (b"\x7FELF\x02\x01\x01\0\0\0\0\0\0\0\0\0", "binary data (\"?ELF"),
        (b"Nov 18 02:14:00 host sshd[1]: Accepted", "expected VPC flow logs: text with a header"),
    ] {
        let message = refusal(content);
        assert!(message.contains(expected), "{message}");
    }
    let mut packed = lines([1]).into_bytes();
    for _ in 0..6 {
        packed = gzip(&packed);
    }
    assert!(refusal(packed).contains("more than 4 layers of compression"));
    assert!(refusal(gzip(b"")).contains("empty"));
}

#[test]
fn one_bad_file_among_good_ones_is_named() {
    let good = lines([1]);
    let all = inputs(&[b"PAR1", good.as_bytes(), b""]);
    let mut ports = Ports::default();
    let reading = all.read(&Options::default(), &|_| {}, &mut ports).unwrap();
    assert_eq!(ports.0.len(), 1);
    let names: Vec<_> = reading.failed.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["0.log"]);
    assert_eq!(
        (reading.passed_over[0].name.as_str(), reading.passed_over[0].what.as_str()),
        ("2.log", "empty")
    );
}

#[test]
fn what_holds_no_flow_log_is_passed_over() {
    let good = lines([1]);
    let foreign: [&[u8]; 7] = [
        b"",
        HEADER.as_bytes(),
        b"Permission Check Successful",
        b"Nov 18 02:14:00 host sshd[1]: Accepted 10.0.0.1",
        br#"{"source":"aws.cloudwatch","alarmData":{"state":{"value":"ALARM"}}}"#,
        br#"{"Type":"Notification","Message":"{\"AlarmName\":\"x\"}"}"#,
        b"version tgw-id srcaddr dstaddr srcport dstport protocol start end\n6 tgw-1 10.0.0.1 10.0.0.2 1 2 6 1 2",
    ];
    for content in foreign {
        let all = inputs(&[content, good.as_bytes()]);
        let reading = all.read(&Options::default(), &|_| {}, &mut Ports::default()).unwrap();
        let shown = String::from_utf8_lossy(content);
        assert_eq!((reading.records, reading.lines_rejected(), reading.failed.len()), (1, 0, 0), "{shown}");
        assert_eq!(reading.passed_over.len(), 1, "{shown}");
    }
    let perhaps = custom_line(1);
    let all = inputs(&[perhaps.as_bytes(), good.as_bytes()]);
    let reading = all.read(&Options::default(), &|_| {}, &mut Ports::default()).unwrap();
    assert_eq!((reading.lines_rejected(), reading.passed_over.len()), (1, 0));
}

/// What a shell makes of the command that an error ends with.
fn run_in(folder: &Path, fix: &str) {
    let (_, command) = fix.split_once(": ").unwrap();
    let shell = std::process::Command::new("sh").args(["-c", command]).current_dir(folder).output().unwrap();
    assert!(shell.status.success(), "{command}: {}", String::from_utf8_lossy(&shell.stderr));
}

#[test]
fn the_command_that_unpacks_what_is_not_read_makes_what_is_read() {
    for (pack, magic) in [
        ("zip -q 'it is' log || python3 -m zipfile -c 'it is' log", "a zip archive"),
        ("tar -cf 'it is' log", "a tar archive"),
        ("bzip2 -c log > 'it is'", "compressed with bzip2"),
        ("xz -c log > 'it is'", "compressed with xz"),
        ("lz4 -q log 'it is'", "compressed with lz4"),
        ("7z a 'it is' log && mv 'it is.7z' 'it is'", "a 7-Zip archive"),
    ] {
        // These two are on few machines.
        let program = pack.split(' ').next().unwrap();
        if matches!(program, "lz4" | "7z") && std::process::Command::new(program).arg("-h").output().is_err()
        {
            continue;
        }
        let folder = Folder::new("packed").file("log", lines([1, 2]));
        run_in(&folder.0, &format!("x: {pack} && rm log"));
        // zip gives what it makes an ending.
        run_in(&folder.0, "x: test -e 'it is' || mv 'it is.zip' 'it is'");
        let all = Inputs::open(&[folder.path()]).unwrap();
        let Err(error) = all.read(&Options::default(), &|_| {}, &mut Ports::default()) else {
            panic!("{magic} is read")
        };
        assert!(error.to_string().contains(magic), "{error}");
        let failed = FailedFile::new("it is", &packed_as(&folder.0.join("it is")));
        run_in(&folder.0, &failed.fix.to_string());
        let mut ports = Ports::default();
        Inputs::open(&[folder.path()]).unwrap().read(&Options::default(), &|_| {}, &mut ports).unwrap();
        assert_eq!(ports.0.len(), 2, "{magic}: {}", failed.fix);
    }
}

/// Why the file is not read.
fn packed_as(path: &Path) -> FileError {
    match shape::of(&fs::read(path).unwrap()) {
        shape::Shape::Packed(packing) => FileError::Packed(packing),
        shape => panic!("{shape:?}"),
    }
}

#[test]
fn what_duckdb_makes_of_parquet_is_read() {
    // As DuckDB 1 writes it: the names of the columns as AWS has them in Parquet, and nothing for null.
    let text = "version,account_id,interface_id,srcaddr,dstaddr,srcport,dstport,protocol,packets,bytes,start,end,action,log_status,tcp_flags,pkt_srcaddr,pkt_dstaddr\n\
        5,123456789012,eni-0a0a0a0a0a0a0a0a0,10.0.1.47,10.0.0.10,30000,443,6,10,1000,1764550800,1764550820,ACCEPT,OK,3,10.0.1.47,203.0.113.10\n\
        5,123456789012,eni-0a0a0a0a0a0a0a0a0,,,,,,,,1764550800,1764550820,,NODATA,,,\n";
    let (reading, ports) = read(text);
    assert_eq!((ports, reading.nodata, reading.lines_rejected()), (vec![30000], 1, 0));
}

#[test]
fn formats_reasons_and_samples_stay_bounded_on_hostile_input() {
    let mut text = String::new();
    for n in 0..500 {
        let extra = " x".repeat(n % 10);
        text.push_str(&format!("{HEADER} from-the-future-{n}{extra}\n{} -{extra}\none\n", line(1)));
    }
    let (reading, _) = read(text);
    assert_eq!(reading.formats.len(), 64);
    assert!(reading.rejected.len() <= 32);
    assert!(reading.lines_rejected() >= 500);
}

/// A folder that is gone at the end of the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("flow-reader-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
        self
    }

    fn path(&self) -> Input {
        Input::Path(self.0.clone())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn folders_are_read_by_name_without_hidden_files() {
    let folder = Folder::new("order")
        .file("b.log", lines([3]))
        .file("a/2.gz", gzip(lines([2]).as_bytes()))
        .file("a/1.misnamed.parquet", lines([1]))
        .file("c/d/e.log", lines([4]))
        .file(".hidden", lines([5]))
        .file(".git/f.log", lines([6]));
    let opened = Inputs::open(&[folder.path()]).unwrap();
    assert_eq!((opened.files(), opened.passed_over()), (4, 2));
    for _ in 0..2 {
        let mut ports = Ports::default();
        let steps = std::sync::Mutex::new(Vec::new());
        let step = |bytes| steps.lock().unwrap().push(bytes);
        let reading = opened.read(&Options::default(), &step, &mut ports).unwrap();
        let steps = steps.into_inner().unwrap();
        assert_eq!(ports.0.iter().map(|p| p.0).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(reading.failed, []);
        assert!(steps.is_sorted());
        assert_eq!(steps.last().copied(), opened.total_bytes());
    }
}

#[test]
fn a_file_named_twice_is_read_once() {
    let folder = Folder::new("twice").file("a.log", lines([1]));
    let file = Input::Path(folder.0.join("a.log"));
    let opened = Inputs::open(&[folder.path(), file.clone(), file]).unwrap();
    assert_eq!((opened.files(), opened.passed_over()), (1, 2));
}

#[cfg(unix)]
#[test]
fn links_to_files_are_followed_and_links_to_folders_are_not() {
    let folder = Folder::new("links").file("a/a.log", lines([1]));
    std::os::unix::fs::symlink("a/a.log", folder.0.join("b.log")).unwrap();
    std::os::unix::fs::symlink("..", folder.0.join("a/circle")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.0.join("c.log")).unwrap();
    let opened = Inputs::open(&[folder.path()]).unwrap();
    assert_eq!((opened.files(), opened.passed_over()), (2, 2));
}

#[test]
fn a_missing_path_is_fatal_only_when_nothing_else_is_there() {
    let folder = Folder::new("missing").file("a.log", lines([1]));
    let missing = Input::Path(folder.0.join("no\nwhere"));
    let error = Inputs::open(std::slice::from_ref(&missing)).unwrap_err().to_string();
    assert!(error.starts_with("no such file or folder: ") && error.ends_with("no?where"), "{error}");

    let opened = Inputs::open(&[missing, folder.path()]).unwrap();
    let reading = opened.read(&Options::default(), &|_| {}, &mut Ports::default()).unwrap();
    assert_eq!((reading.records, reading.failed.len()), (1, 1));
    assert!(reading.failed[0].error.starts_with("failed to open it: "));

    let empty = Folder::new("empty").file(".hidden", "");
    let error = Inputs::open(&[empty.path()]).unwrap_err().to_string();
    assert_eq!(error, "there is no file to read (1 hidden or special entries were passed over)");
}

#[test]
fn a_dash_is_standard_input() {
    assert_eq!("-".parse(), Ok(Input::Stdin));
    assert_eq!("-x".parse(), Ok(Input::Path("-x".into())));
}

#[test]
fn a_sample_is_spread_over_the_files() {
    let (long, short) = (lines(0..1000), lines(1000..1003));
    let all = inputs(&[long.as_bytes(), short.as_bytes(), b"PAR1", long.as_bytes()]);
    let mut ports = Ports::default();
    let reading = all.sample(&Options::default(), 100, &mut ports).unwrap();
    assert_eq!(reading.records, 100);
    assert_eq!(ports.0.iter().position(|p| p.0 == 1000), Some(25), "a quarter from the first file");
    assert_eq!(ports.0[28..].len(), 72, "what short files leave goes to the others");
}

#[test]
fn a_sample_of_very_many_files_looks_into_some_of_them() {
    let files: Vec<String> = (0..3000).map(|port| lines([port])).collect();
    let files: Vec<&[u8]> = files.iter().map(|text| text.as_bytes()).collect();
    let mut ports = Ports::default();
    inputs(&files).sample(&Options::default(), 200_000, &mut ports).unwrap();
    assert_eq!(ports.0.len(), 1000);
    assert_eq!(ports.0[..3], [(0, 443), (3, 443), (6, 443)]);
}

#[test]
fn a_sample_stops_early_in_every_shape() {
    for (name, text) in shapes() {
        for bytes in [text.as_bytes(), &gzip(text.as_bytes())] {
            let mut ports = Ports::default();
            let reading = inputs(&[bytes]).sample(&Options::default(), 2, &mut ports).unwrap();
            assert_eq!((reading.records, ports.0.len()), (2, 2), "{name}");
            assert_eq!((reading.lines_rejected(), reading.failed.len()), (0, 0), "{name}");
        }
    }
}

#[test]
fn a_sample_without_records_is_no_error_before_the_end() {
    let foreign = "not a flow log\n".repeat(100);
    assert!(inputs(&[foreign.as_bytes()]).sample(&Options::default(), 10, &mut Ports::default()).is_err());
    let long = "not a flow log\n".repeat(100_000) + &line(1);
    let all = inputs(&[long.as_bytes()]);
    assert_eq!(all.sample(&Options::default(), 10, &mut Ports::default()).unwrap().records, 0);
    assert_eq!(all.read(&Options::default(), &|_| {}, &mut Ports::default()).unwrap().records, 1);
}

/// A line, and whether it is a record.
fn any_line() -> impl Strategy<Value = (String, bool)> {
    prop_oneof![
        any::<u16>().prop_map(|port| (line(port), true)),
        any::<u16>().prop_map(|port| (format!("2026-11-18T02:14:00.000Z {}", line(port)), true)),
        "[ -~]{1,200}"
            .prop_filter("not blank", |text| !text.trim().is_empty())
            .prop_map(|text| (text, false)),
        (any::<u16>(), 0..90_usize).prop_map(|(port, length)| (line(port)[..length + 1].to_owned(), false)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_line_is_a_record_or_counted_as_rejected(all in prop::collection::vec(any_line(), 1..50)) {
        // With a record first, what follows cannot be taken for another shape.
        let text = format!("{}\n{}", line(0), all.iter().map(|(text, _)| format!("{text}\n")).collect::<String>());
        let records = 1 + all.iter().filter(|(_, is_record)| *is_record).count();
        let (reading, ports) = read(text);
        prop_assert_eq!(ports.len(), records);
        prop_assert_eq!(reading.records, records as u64);
        prop_assert_eq!(reading.lines_rejected(), (all.len() + 1 - records) as u64);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
        for content in [bytes.clone(), gzip(&bytes), zstd(&bytes)] {
            let _ = read_as(&content, &Options::default());
            let _ = read_as(&content, &custom());
        }
    }

    #[test]
    fn arbitrary_json_like_text_never_panics(text in r#"([\{\}\[\]",: \n0e\\u-]|message|events|awslogs|"data":"QQ=="){0,300}"#) {
        let _ = read_as(format!("{{{text}"), &Options::default());
    }

    #[test]
    fn damage_anywhere_never_panics_and_never_adds_records(
        shape in 0..15_usize, packing in 0..3_usize, place in any::<prop::sample::Index>(), byte in any::<u8>()
    ) {
        let text = shapes().swap_remove(shape).1.into_bytes();
        let mut bytes = match packing { 0 => text, 1 => gzip(&text), _ => zstd(&text) };
        let place = place.index(bytes.len());
        bytes[place] = byte;
        prop_assert!(read_as(&bytes, &Options::default()).1.len() <= 3);
    }
}

#[test]
fn what_there_is_no_time_for_is_named_and_read_elsewhere() {
    let options = Options { until: Some(std::time::Instant::now()), ..Options::default() };
    let error = read_as(lines(1..3), &options).0.unwrap_err().to_string();
    assert!(error.contains("there was no time to read it to its end"), "{error}");
    assert!(error.contains("nat-triage analyze --flow-logs "), "{error}");
}

/// What is met, one after the other.
#[derive(Default)]
struct Story(Vec<String>);

impl Sink for Story {
    fn record(&mut self, record: &FlowRecord<'_>) {
        self.0.push(format!("{record:?}"));
    }

    fn format(&mut self, format: &LogFormat) {
        self.0.push(format!("{format}"));
    }

    fn no_data(&mut self, interval: &Interval<'_>) {
        self.0.push(format!("{interval:?}"));
    }

    fn rejected(&mut self, line: &[u8]) {
        self.0.push(format!("rejected {} bytes: {}", line.len(), messages::harmless(line)));
    }
}

/// What reading comes to, and its story.
fn story_of(text: &[u8]) -> (Reading, Story) {
    let mut story = Story::default();
    let reading = inputs(&[text]).read(&Options::default(), &|_| {}, &mut story).unwrap();
    (reading, story)
}

/// Text so long that its lines are parsed ahead, with each of these lines now and then.
fn long_text(between: &[String]) -> String {
    let mut text = String::new();
    for n in 0..12_000_usize {
        text += &line(u16::try_from(n).unwrap());
        text += if n % 7 == 0 { "\r\n" } else { "\n" };
        if n > 9_000 && n % 400 == 0 {
            text += &between[n / 400 % between.len()];
            text.push('\n');
        }
    }
    text
}

#[test]
fn lines_parsed_ahead_are_met_as_they_stand() {
    let nodata = "2 123456789010 eni-1235b8ca123456789 - - - - - - - 1431280876 1431280934 - NODATA";
    let damaged = line(1).replace("443", "-443");
    let between = [
        "".to_owned(),
        nodata.to_owned(),
        damaged,
        HEADER.to_owned(),
        "x".repeat(70_000),
        "y".repeat(300_000),
        "eni-".repeat(40_000),
        format!("2026-11-18T02:14:00.000Z {}", line(9)),
        format!("{}\t", line(8)),
    ];
    for first in 0..between.len() {
        let text = long_text(&between[first..]);
        let (reading, story) = story_of(text.as_bytes());
        // Split into files that are too short for it, and read one by one.
        let mut expected = Story::default();
        let mut records = 0;
        for part in text.lines().collect::<Vec<_>>().chunks(900) {
            let bytes = part.join("\n").into_bytes();
            let reading = inputs(&[&bytes]).read(&Options::default(), &|_| {}, &mut expected).unwrap();
            records += reading.records;
        }
        let records_of = |story: Story| -> Vec<String> {
            story.0.into_iter().filter(|met| !met.starts_with("${") && !met.starts_with("rejected")).collect()
        };
        assert_eq!(reading.records, records, "{first}");
        assert!(records_of(story) == records_of(expected), "{first}");
    }
}

#[test]
fn a_format_that_changes_far_within_the_text_is_followed() {
    let other = "version srcaddr dstaddr srcport dstport protocol start end";
    let mut text = long_text(&[String::new()]);
    text += other;
    text.push('\n');
    for n in 0..9_000 {
        text += &format!("5 10.0.0.220 203.0.113.5 {n} 443 6 1418530010 1418530070\n");
    }
    text += &format!("{HEADER}\n{}", lines(0..5_000));
    let (reading, story) = story_of(text.as_bytes());
    assert_eq!((reading.records, reading.lines_rejected()), (12_000 + 9_000 + 5_000, 0));
    assert_eq!(story.0.iter().filter(|met| met.starts_with("${")).count(), 3);
}

#[test]
fn a_line_that_is_too_long_is_one_bad_line_anywhere() {
    for (length, at_end) in [(66_000, false), (131_072, false), (1_000_000, true)] {
        let mut text = long_text(&[String::new()]);
        text += &"z".repeat(length);
        if !at_end {
            text.push('\n');
            text += &lines(0..3_000);
        }
        let (reading, _) = story_of(text.as_bytes());
        let [rejected] = &reading.rejected[..] else { panic!("{:?}", reading.rejected) };
        assert_eq!((rejected.count, &rejected.reason), (1, &RejectReason::TooLong { most: 64 * 1024 }));
        assert_eq!(reading.records, if at_end { 12_000 } else { 15_000 });
    }
}

#[test]
fn what_breaks_off_far_within_counts_as_far_as_it_is_whole() {
    let text = long_text(&[String::new()]);
    let mut packed = gzip(text.as_bytes());
    packed.truncate(packed.len() - 5_000);
    let (reading, _) = story_of(&packed);
    let [failed] = &reading.failed[..] else { panic!("{:?}", reading.failed) };
    assert!(failed.error.contains("damaged or cut short after"), "{failed:?}");
    assert!((5_000..12_000).contains(&reading.records), "{}", reading.records);
}

/// What reading comes to, and its story, where so few records are wanted that none is looked for ahead.
fn story_one_by_one(text: &[u8]) -> (Reading, Story) {
    let (mut reading, mut story) = (Reading::default(), Story::default());
    let (room, few) = (Room::of(text.len() as u64), Quota::sample(messages::MANY - 1));
    let mut messages = Messages::new("0.log", room, None, few, &mut reading, &mut story);
    let outcome = stream::read(Box::new(text), &mut messages, 0);
    assert!(!messages.finish(outcome), "it was not read to its end");
    (reading, story)
}

/// So many log events, with another now and then.
fn many_events(count: u16, other: &str) -> Vec<String> {
    let event = |n: u16| {
        let message = line(n);
        format!(
            "{{\"logStreamName\": \"eni-1235b8ca123456789-all\", \"timestamp\": 1418530010000, \"message\": \"{message}\", \"eventId\": \"{:056}\"}}",
            u32::from(n) + 1
        )
    };
    (0..count).map(|n| if n > 300 && n % 700 == 0 { other.to_owned() } else { event(n) }).collect()
}

#[test]
fn events_found_ahead_are_met_as_they_stand() {
    let nodata = "2 123456789010 eni-1235b8ca123456789 - - - - - - - 1431280876 1431280934 - NODATA";
    let message = |text: &str| format!("{{\"message\": \"{text}\"}}");
    let others = [
        message(&line(1)),
        message(""),
        message(nodata),
        message(HEADER),
        message(&line(1).replace("443", "-443")),
        message(&format!("2026-11-18T02:14:00.000Z {}", line(9))),
        message(&format!("  {}  ", line(9))),
        message(&line(2).replace(' ', "\\u0020")),
        message(&format!("{}\\n{}", line(3), line(4))),
        message(&line(5).replace("123456789010", "\u{e4}")),
        message(&line(5).replace("123456789010", "a,b")),
        message("Complete"),
        message("{\\\"message\\\": \\\"of another\\\"}"),
        format!("{{\"message\": \"{}\", \"event\": \"{}\"}}", line(6), line(7)),
        format!("{{\"message\": \"{0}\", \"original\": \"{0}\"}}", line(6)),
        format!("{{\"other\": \"{}\", \"message\": \"{}\"}}", line(8), line(9)),
        format!("{{\"message\": [\"{}\"], \"n\": 1.5e3}}", line(10)),
        format!("{{\"message\": \"{}\", \"n\": [{{}}, {{}}, {{\"message\": \"{}\"}}]}}", line(10), line(11)),
        format!("{{\"status\": \"Running\", \"start\": 12, \"message\": \"{}\"}}", line(12)),
        format!("{{\"a\": -1, \"b\": 007, \"message\": \"{}\"}}", line(13)),
        format!("{{\"a\": null, \"b\": true, \"c\": {{}}, \"message\": \"{}\"}}", line(14)),
        format!("{{\"text\": \"{}\", \"message\": \"{}\"}}", "-".repeat(50), line(15)),
        "{}".to_owned(),
        "17".to_owned(),
        format!("\"{}\"", line(16)),
        "[{}]".to_owned(),
        "{\"message\": \"2 \u{1}\"}".to_owned(),
        "{\"message\": }".to_owned(),
    ];
    for other in &others {
        let events = many_events(3_000, other);
        let indented = events.join(",\n        ");
        let texts = [
            format!(
                "{{\n    \"events\": [\n        {indented}\n    ],\n    \"searchedLogStreams\": []\n}}\n"
            ),
            format!(
                "{{\"messageType\":\"DATA_MESSAGE\",\"logEvents\":[{}],\"owner\":\"1\"}}",
                events.join(",")
            ),
            format!("[{}]", events.join(" , ")),
            events.join("\n"),
            events.concat(),
        ];
        for text in texts {
            let (reading, story) = story_of(text.as_bytes());
            let (expected, expected_story) = story_one_by_one(text.as_bytes());
            assert_eq!(reading, expected, "{other}");
            assert!(story.0 == expected_story.0, "{other}");
        }
    }
}

#[test]
fn events_that_break_off_are_named_at_their_place() {
    let text = format!("{{\n\"events\": [\n{}", many_events(3_000, "{\"message\": \"\"}").join(",\n"));
    for length in [text.len(), text.len() - 70, text.len() - 100_000, text.len() - 100_090] {
        let text = &text.as_bytes()[..length];
        let (reading, story) = story_of(text);
        let (expected, expected_story) = story_one_by_one(text);
        assert_eq!(reading, expected, "{length}");
        assert!(reading.failed[0].error.contains(" at line "), "{:?}", reading.failed);
        assert!(story.0 == expected_story.0, "{length}");
    }
}

#[test]
fn a_sample_of_events_is_as_many_as_are_wanted() {
    let text = format!("{{\"events\": [{}]}}", many_events(30_000, "{\"message\": \"\"}").join(","));
    let mut ports = Ports::default();
    let sample = inputs(&[text.as_bytes()]).sample(&Options::default(), 25_000, &mut ports).unwrap();
    assert_eq!((sample.records, ports.0.len()), (25_000, 25_000));
}

#[test]
fn files_unpacked_ahead_are_met_as_they_stand() {
    let text = |from: u16| format!("{HEADER}\n{}", lines(from..from + 9_000));
    let mut cut_short = gzip(text(20_000).as_bytes());
    cut_short.truncate(cut_short.len() / 2);
    let mut damaged = zstd(text(30_000).as_bytes());
    let middle = damaged.len() / 2;
    damaged[middle] ^= 0x55;
    let contents = [
        gzip(text(0).as_bytes()),
        Vec::new(),
        zstd(text(10_000).as_bytes()),
        gzip(b""),
        cut_short,
        text(5).into_bytes(),
        damaged,
        gzip(&vec![0; 3_000_000]),
        vec![0x1F, 0x8B],
        zstd(&[7; 100]),
        gzip(&zstd(text(7).as_bytes())),
        gzip(serde_json::json!({ "events": [{ "message": line(3) }] }).to_string().as_bytes()),
        [gzip(text(11).as_bytes()), gzip(text(12).as_bytes())].concat(),
        b"no flow log\n".to_vec(),
    ];
    let files = inputs(&contents.each_ref().map(Vec::as_slice));
    let (mut story, mut expected_story) = (Story::default(), Story::default());
    let told = std::sync::atomic::AtomicU64::new(0);
    let tell = |bytes| {
        told.fetch_max(bytes, std::sync::atomic::Ordering::Relaxed);
    };
    let reading = files.read(&Options::default(), &tell, &mut story).unwrap();
    // A sample is read file by file; here it is of everything.
    let expected = files.sample(&Options::default(), usize::MAX >> 8, &mut expected_story).unwrap();
    assert_eq!(reading, expected);
    assert!(story.0 == expected_story.0);
    assert!(reading.records > 5 * 9_000 && reading.failed.len() >= 3, "{reading:?}");
    assert_eq!(Some(told.into_inner()), files.total_bytes());
}
