//! The function among emulators of AWS on loopback, and an alarm for it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use insights_server::Store;
use nat_simulator::{Incident, LogFormat, Simulation, View};
use serde_json::{Value, json};

use super::checkout;
use super::delivery::Delivered;
use super::incidents::{query_log, store};
use super::processes::{Emulator, Running, environment};
use super::runtime_api::RuntimeApi;

pub(crate) const REGION: &str = "eu-west-1";

/// The emulators, with a gateway, its flow log, its errors, a topic and a queue in them.
pub(crate) struct Scene {
    pub(crate) ec2: Emulator,
    pub(crate) rest: Emulator,
    ids: Value,
}

impl Scene {
    pub(crate) fn set(format: &LogFormat, errors_from: i64, errors: &[u64]) -> Self {
        Self::set_trusting(format, errors_from, errors, None)
    }

    /// The same, whose topic sends by HTTPS to who has this certificate.
    fn set_trusting(
        format: &LogFormat,
        errors_from: i64,
        errors: &[u64],
        certificate: Option<&Path>,
    ) -> Self {
        let (ec2, rest) = (Emulator::start("moto"), Emulator::start_trusting("ministack", certificate));
        let fields: Vec<String> = format.header().split(' ').map(|field| format!("${{{field}}}")).collect();
        let mut args = vec![
            "create".to_owned(),
            ec2.url().to_owned(),
            rest.url().to_owned(),
            fields.join(" "),
            "60".to_owned(),
            errors_from.to_string(),
        ];
        args.extend(errors.iter().map(ToString::to_string));
        let ids = scene(&args);
        Self { ec2, rest, ids }
    }

    pub(crate) fn id(&self, name: &str) -> &str {
        self.ids[name].as_str().unwrap_or_else(|| panic!("the scene has no {name}: {}", self.ids))
    }

    /// Gives an incident's gateway the ids that the emulators chose.
    fn name_gateway(&self, incident: &mut Incident) {
        let gateway = &mut incident.gateways[0];
        gateway.id = self.id("gateway").to_owned();
        gateway.interface_id = Some(self.id("interface").to_owned());
        gateway.addresses[0].private = self.id("address").parse().ok();
    }

    /// An alarm on the gateway's errors, which goes into ALARM; its ARN.
    pub(crate) fn alarm(&self, name: &str, reason: &str, reason_data: &str) -> Value {
        let args = ["alarm", self.rest.url(), name, self.id("gateway"), reason, reason_data];
        scene(&args.map(str::to_owned))
    }

    /// Datapoints of another metric of the gateway, one for each minute.
    pub(crate) fn put_metric(&self, name: &str, from: i64, values: &[u64]) {
        let mut args = vec![
            "metric".to_owned(),
            self.rest.url().to_owned(),
            self.id("gateway").to_owned(),
            name.to_owned(),
            from.to_string(),
        ];
        args.extend(values.iter().map(ToString::to_string));
        scene(&args);
    }

    /// What the bucket holds, by key.
    pub(crate) fn kept(&self) -> Value {
        scene(&["kept".to_owned(), self.rest.url().to_owned(), self.id("bucket").to_owned()])
    }

    /// Delivers the VPC's flow log to a bucket, instead of to a log group; its id.
    fn deliver_to(&self, bucket: &str, format: &LogFormat) -> String {
        let fields: Vec<String> = format.header().split(' ').map(|field| format!("${{{field}}}")).collect();
        let fields = fields.join(" ");
        let args = ["deliver", self.ec2.url(), self.rest.url(), self.id("vpc"), &fields, "60", bucket];
        scene(&args.map(str::to_owned)).as_str().expect("an id").to_owned()
    }

    /// Delivers the VPC's flow log with these records to a bucket; its id. It has the layout of a flow log without
    /// options.
    pub(crate) fn fill(&self, bucket: &str, simulation: &Simulation, format: &LogFormat) -> String {
        let flow_log = self.deliver_to(bucket, format);
        let delivered = Delivered {
            account: EMULATED_ACCOUNT,
            region: REGION,
            flow_log: &flow_log,
            folder: "",
            hive: false,
            per_hour: false,
            parquet: false,
        };
        let records = simulation.records(&View::of_vpc(format.clone()));
        self.put(bucket, &delivered.files(&records, &format.header()));
        flow_log
    }

    /// Puts objects into a bucket.
    fn put(&self, bucket: &str, objects: &BTreeMap<String, Vec<u8>>) {
        let folder = tempfile::tempdir().expect("a folder");
        for (key, bytes) in objects {
            let path = folder.path().join(key);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            std::fs::write(path, bytes).expect("written");
        }
        let from = folder.path().to_str().expect("UTF-8");
        scene(&["put", self.rest.url(), bucket, from].map(str::to_owned));
    }

    /// Makes an ECS service in the gateway's subnet, which CloudTrail records.
    pub(crate) fn change(&self) {
        scene(&["change", self.rest.url(), self.id("subnet")].map(str::to_owned));
    }

    /// Subscribes to the topic, and waits until that is confirmed.
    pub(crate) fn subscribe(&self, protocol: &str, url: &str) {
        let args = ["subscribe", self.rest.url(), self.id("topic"), protocol, url];
        scene(&args.map(str::to_owned));
    }

    /// What a link of ours on the emulators leads to: its type and its text.
    pub(crate) fn fetched(&self, url: &str) -> (String, String) {
        let found = scene(&["fetch".to_owned(), url.to_owned()]);
        let text = |key: &str| found[key].as_str().expect("text").to_owned();
        (text("type"), text("text"))
    }

    /// The next message of the queue: SNS's envelope.
    pub(crate) fn received(&self) -> Value {
        scene(&["receive".to_owned(), self.rest.url().to_owned(), self.id("queue").to_owned()])
    }
}

fn scene(args: &[String]) -> Value {
    let output = Command::new(environment().join("bin/python3"))
        .arg(checkout().join("tools/emulators/scene"))
        .args(args)
        .output()
        .expect("Python runs");
    assert!(output.status.success(), "scene {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The account that every emulator has.
const EMULATED_ACCOUNT: &str = "123456789012";

/// A Region and credentials that are nobody's, and none from anywhere else.
pub(crate) const ACCOUNT: [(&str, &str); 6] = [
    ("AWS_REGION", REGION),
    ("AWS_ACCESS_KEY_ID", "test"),
    ("AWS_SECRET_ACCESS_KEY", "test"),
    ("AWS_EC2_METADATA_DISABLED", "true"),
    ("AWS_CONFIG_FILE", "/dev/null"),
    ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
];

/// Where every call goes: to loopback.
pub(crate) fn endpoints<'a>(scene: &'a Scene, insights: &'a str) -> [(&'static str, &'a str); 7] {
    let endpoints = [
        ("AWS_ENDPOINT_URL", scene.rest.url()),
        ("AWS_ENDPOINT_URL_EC2", scene.ec2.url()),
        ("AWS_ENDPOINT_URL_SERVICE_QUOTAS", scene.ec2.url()),
        ("AWS_ENDPOINT_URL_ROUTE53RESOLVER", scene.ec2.url()),
        ("AWS_ENDPOINT_URL_CLOUDWATCH", scene.rest.url()),
        ("AWS_ENDPOINT_URL_SNS", scene.rest.url()),
        ("AWS_ENDPOINT_URL_CLOUDWATCH_LOGS", insights),
    ];
    for (name, url) in endpoints {
        assert!(url.starts_with("http://127.0.0.1:"), "{name} is {url}, which is not on loopback");
    }
    endpoints
}

/// The function as Lambda would start it, with every endpoint on loopback.
pub(crate) fn function(api: &RuntimeApi, scene: &Scene, insights: &str, topic: &str) -> Running {
    started(api, &endpoints(scene, insights), &[("NAT_TRIAGE_TOPIC_ARN", topic)])
}

/// The function as Lambda would start it, with these endpoints and settings.
pub(crate) fn started(api: &RuntimeApi, endpoints: &[(&str, &str)], settings: &[(&str, &str)]) -> Running {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nat-triage-lambda"));
    command
        .env_clear()
        .envs(endpoints.iter().copied())
        .envs(ACCOUNT)
        .envs([
            ("AWS_LAMBDA_RUNTIME_API", api.address().as_str()),
            ("AWS_LAMBDA_FUNCTION_NAME", "nat-triage"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ])
        .envs(settings.iter().copied())
        .stdout(Stdio::null());
    Running::start(&mut command)
}

/// A full-size leak that ended two hours ago: the emulator drops metrics older than two weeks.
pub(crate) fn leak() -> Incident {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let mut incident = nat_simulator::sample::incident();
    let start = i64::try_from(now).expect("this century") - 3 * 3600;
    incident.start = start - start % 60;
    incident
}

/// The sample event, about another gateway and other minutes.
pub(crate) fn event(simulation: &Simulation, gateway: &str) -> Value {
    let facts = simulation.facts();
    let text = std::fs::read_to_string(checkout().join("events/alarm.json")).expect("there");
    let mut event: Value = serde_json::from_str(&text).expect("JSON");
    let time = |second: i64| {
        let time = jiff::Timestamp::from_second(second).expect("this century");
        time.strftime("%Y-%m-%dT%H:%M:%S.000+0000").to_string()
    };
    let breaching: Vec<Value> = facts
        .errors
        .iter()
        .rev()
        .map(|(minute, sum)| json!({ "timestamp": time(*minute), "sampleCount": 1.0, "value": *sum as f64 }))
        .collect();
    let reason = json!({
        "version": "1.0",
        "queryDate": time(facts.end),
        "startDate": time(facts.errors[0].0),
        "statistic": "Sum",
        "period": 60,
        "recentDatapoints": facts.errors.iter().map(|(_, sum)| *sum as f64).collect::<Vec<_>>(),
        "threshold": 0.0,
        "evaluatedDatapoints": breaching,
    });
    let alarm = &mut event["alarmData"];
    alarm["state"]["reasonData"] = Value::String(reason.to_string());
    alarm["state"]["timestamp"] = Value::String(time(facts.end + 5));
    alarm["configuration"]["metrics"][0]["metricStat"]["metric"]["dimensions"] =
        json!({ "NatGatewayId": gateway });
    event
}

/// The alarm's next transition but `nth`, about the same minutes.
pub(crate) fn later(event: &Value, nth: i64) -> Value {
    let mut event = event.clone();
    let at = &mut event["alarmData"]["state"]["timestamp"];
    let text = at.as_str().expect("text").replace("+0000", "Z");
    let second = text.parse::<jiff::Timestamp>().expect("a time").as_second() + nth * 600;
    let time = jiff::Timestamp::from_second(second).expect("this century");
    *at = time.strftime("%Y-%m-%dT%H:%M:%S.000+0000").to_string().into();
    event
}

/// The leak, as traffic of a gateway that the emulators know: they choose its ids.
pub(crate) fn staged(format: &LogFormat) -> (Scene, Simulation) {
    staged_trusting(format, None)
}

/// The same, whose topic sends by HTTPS to who has this certificate.
pub(crate) fn staged_trusting(format: &LogFormat, certificate: Option<&Path>) -> (Scene, Simulation) {
    let mut incident = leak();
    let errors = incident.simulate().facts().errors;
    let sums: Vec<u64> = errors.iter().map(|(_, sum)| *sum).collect();
    let scene = Scene::set_trusting(format, errors[0].0, &sums, certificate);
    scene.name_gateway(&mut incident);
    let simulation = incident.simulate();
    (scene, simulation)
}

/// The same leak at the scene's gateway, which ended a while ago.
pub(crate) fn ended_before(scene: &Scene, seconds: i64) -> Simulation {
    let mut incident = leak();
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs());
    let end = now.expect("this century") - seconds;
    incident.start += (end - incident.simulate().facts().end).div_euclid(60) * 60;
    scene.name_gateway(&mut incident);
    incident.simulate()
}

/// What clients asked the resolver for, to be led to the exhausted destination.
pub(crate) const ASKED: &str = "payments.example.com";

/// Its flow logs, of the whole VPC, and what its clients asked the resolver.
pub(crate) fn stored(simulation: &Simulation, format: LogFormat) -> Store {
    let store = store(&simulation.records(&View::of_vpc(format)));
    store.set_location(REGION, EMULATED_ACCOUNT);
    let server = simulation.truth().exhausted.expect("the leak exhausts its destination").address;
    let asked_at = simulation.facts().errors[0].0 - 600;
    store.add_flow_log_lines(
        QUERY_LOG_GROUP,
        "resolver",
        [(asked_at, query_log(ASKED, &[&server.to_string()]))],
    );
    store
}

/// Where the emulators say that the resolver writes.
const QUERY_LOG_GROUP: &str = "/dns/queries";
