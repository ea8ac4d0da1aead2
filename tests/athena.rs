//! Athena, asked about flow logs in S3 that are too much to read in place, leads to the diagnosis that Logs Insights and
//! the files lead to.

use std::collections::BTreeMap;
use std::time::Duration;

use nat_simulator::{GatewayKind, Incident, LogFormat, Pattern, Scale, View};
use nat_triage::contract::{Diagnosis, Verdict};
use nat_triage::evidence::Source;
use nat_triage::evidence::athena::{Athena, Column, RUNGS, Table, planned};
use nat_triage::evidence::bucket::{BucketFiles, Cause as S3, Most};
use nat_triage::evidence::files::FlowLogFiles;
use nat_triage::evidence::insights::{Cause, LogsInsights, Rung, RungMemory, Unanswered};
use nat_triage::evidence::live::Live;
use nat_triage::flow::reader::{Inputs, Options};
use nat_triage::network::{Known, Network};
use nat_triage::triage::triage;

use crate::in_bucket::{CAPACITY, Case, FLOW_LOG, FOLDER, only};
use crate::support::athena::{Evaluated, refusal};
use crate::support::delivery::{Bucket, Refusing};
use crate::support::evaluator::Evaluator;
use crate::support::incidents::{file, network, store};

const BUCKET: &str = "flow-logs";

/// Less than any incident's files have.
const LITTLE: Most = Most { objects: 1_000, bytes: 1_000 };

fn columns(pairs: &[(&str, &str)]) -> Vec<Column> {
    pairs.iter().map(|(name, kind)| Column { name: (*name).into(), kind: (*kind).into() }).collect()
}

/// The table that AWS's user guide makes for the case's files.
fn table(case: &Case) -> Table {
    let numbers = ["version", "srcport", "dstport", "tcp-flags", "traffic-path"];
    let large = ["protocol", "packets", "bytes", "start", "end"];
    let kind = |field: &str| match field {
        of if numbers.contains(&of) => "int",
        of if large.contains(&of) => "bigint",
        _ => "string",
    };
    let header = case.format.header();
    let fields: Vec<(String, &str)> =
        header.split(' ').map(|field| (field.replace('-', "_"), kind(field))).collect();
    let pairs: Vec<(&str, &str)> = fields.iter().map(|(name, kind)| (name.as_str(), *kind)).collect();
    let root = format!("s3://{BUCKET}/{FOLDER}AWSLogs/");
    let mut parameters = BTreeMap::from([("location".to_owned(), root.clone())]);
    let serde = if case.parquet {
        "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
    } else {
        parameters.insert("skip.header.line.count".into(), "1".into());
        "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"
    };
    parameters.insert("serde.serialization.lib".into(), serde.into());
    let partition_keys = match (case.hive, case.per_hour) {
        (true, per_hour) => {
            let mut keys = vec!["aws-account-id", "aws-service", "aws-region", "year", "month", "day"];
            keys.extend(per_hour.then_some("hour"));
            columns(&keys.into_iter().map(|key| (key, "string")).collect::<Vec<_>>())
        }
        (false, per_hour) => {
            let day = if per_hour { "date" } else { "day" };
            let hour = if per_hour { "/${hour}" } else { "" };
            let template = format!("{root}${{accid}}/vpcflowlogs/${{region}}/${{{day}}}{hour}");
            parameters.insert("projection.enabled".into(), "true".into());
            parameters.insert(format!("projection.{day}.type"), "date".into());
            parameters.insert(format!("projection.{day}.format"), "yyyy/MM/dd".into());
            parameters.insert("projection.hour.type".into(), "integer".into());
            parameters.insert("projection.hour.digits".into(), "2".into());
            parameters.insert("storage.location.template".into(), template);
            let mut keys = vec![("accid", "string"), ("region", "string"), (day, "string")];
            keys.extend(per_hour.then_some(("hour", "string")));
            columns(&keys)
        }
    };
    Table { name: "vpc_flow_logs".into(), columns: columns(&pairs), partition_keys, parameters }
}

fn evaluated(case: &Case) -> Evaluated {
    Evaluated::of(vec![table(case)], BUCKET, &case.objects())
}

async fn of_athena(case: &Case, bucket: &Bucket, network: Network, tables: &Evaluated) -> Diagnosis {
    let insights = LogsInsights::new(Evaluator::new(store(&[])));
    let athena = Athena::new(tables, "logs.vpc_flow_logs".parse().expect("a table"));
    let live = Live::new(&insights, BucketFiles::new(bucket, LITTLE)).or_asking(Some(athena));
    triage(case.incident(), &Known(network), &live, case.limits()).await.expect("never fails").diagnosis
}

async fn of_insights(case: &Case) -> Diagnosis {
    of_insights_beginning_with(case, Rung::EveryMinute).await
}

async fn of_insights_beginning_with(case: &Case, rung: Rung) -> Diagnosis {
    let facts = case.simulation.facts();
    let records = case.simulation.records(&View::of_vpc(case.format.clone()));
    let known = Known(network(&facts, &case.format.header(), &facts.vpc_id, 60));
    let memory = RungMemory::default();
    for log in &known.0.flow_logs {
        let groups: Vec<String> = log.log_group.iter().cloned().collect();
        memory.remember(&groups, &log.format.parse().expect("a format"), rung);
    }
    let insights = LogsInsights::new(Evaluator::new(store(&records))).remembering(memory);
    triage(case.incident(), &known, &insights, case.limits()).await.expect("never fails").diagnosis
}

async fn of_files(case: &Case) -> Diagnosis {
    let records = case.simulation.records(&View::of_vpc(case.format.clone()));
    let inputs =
        Inputs::from_memory([("flow.log".to_owned(), file(&records, &case.format.header()).into_bytes())]);
    let files = FlowLogFiles::new(inputs, Options::default(), |_| {});
    triage(case.incident(), &Known(case.network()), &files, case.limits()).await.expect("readable").diagnosis
}

/// Whoever is asked in a language counts alike, to the last port; the files lead to the same answer.
async fn assert_agrees(case: &Case) -> Diagnosis {
    let tables = evaluated(case);
    let athena = of_athena(case, &case.bucket(), case.network(), &tables).await;
    assert_eq!(athena.coverage.source, Source::Athena, "{:#?}", athena.gaps);
    let insights = of_insights(case).await;
    assert_ne!(athena.destinations, [], "nothing was compared");
    assert_eq!(athena.destinations, insights.destinations);
    assert_eq!(athena.clients, insights.clients);
    assert_eq!((athena.verdict, athena.pattern), (insights.verdict, insights.pattern));
    assert_eq!(athena.coverage.records_read, insights.coverage.records_read);
    let files = of_files(case).await;
    let told = |diagnosis: &Diagnosis| {
        let top = diagnosis.destinations.first().expect("a destination");
        let first = top.clients.first().map(|client| client.address);
        (diagnosis.verdict, diagnosis.pattern, top.address, top.port, first.filter(|_| !is_fan_in(diagnosis)))
    };
    assert_eq!(told(&athena), told(&files));
    athena
}

/// Of which no client is remarkable.
fn is_fan_in(diagnosis: &Diagnosis) -> bool {
    diagnosis.pattern == Some(nat_triage::contract::Pattern::FanIn)
}

#[tokio::test]
async fn athena_and_logs_insights_agree_on_every_layout() {
    for (hive, per_hour) in [(false, false), (false, true), (true, false), (true, true)] {
        let case = Case { hive, per_hour, ..Case::of(Pattern::Leak) };
        let diagnosis = assert_agrees(&case).await;
        assert_eq!(diagnosis.verdict, Verdict::Confirmed, "{}", diagnosis.headline);
    }
}

#[cfg(feature = "parquet")]
#[tokio::test]
async fn athena_and_logs_insights_agree_on_parquet() {
    for (hive, per_hour) in [(false, true), (true, false)] {
        assert_agrees(&Case { hive, per_hour, parquet: true, ..Case::of(Pattern::Leak) }).await;
    }
}

#[tokio::test]
async fn athena_and_logs_insights_agree_on_every_pattern() {
    for pattern in [Pattern::LongLived, Pattern::Churn, Pattern::RetryStorm, Pattern::FanIn, Pattern::Scan] {
        assert_agrees(&Case::of(pattern)).await;
    }
}

#[tokio::test]
async fn athena_and_logs_insights_agree_on_every_format() {
    for format in [LogFormat::v2_default(), LogFormat::v3_pkt()] {
        assert_agrees(&Case { format, ..Case::of(Pattern::Leak) }).await;
    }
}

/// A regional gateway has no interface, and its records are found by its id.
#[tokio::test]
async fn athena_finds_a_regional_gateway_by_its_id() {
    let is_regional = |simulated: &Incident| simulated.simulate().facts().kind == GatewayKind::Regional;
    let scale = Scale::Reduced { capacity: CAPACITY };
    let simulated = (0..).map(|seed| Incident::random_of(seed, scale, Pattern::Leak, true)).find(is_regional);
    assert_agrees(&Case::of_simulated(&simulated.expect("one in five or so"))).await;
}

#[test]
fn the_sql_of_each_kind_of_question_is_as_it_was_read() {
    let gateway = Case::of(Pattern::Leak).network().gateway;
    let window = "2026-11-18T23:58:00Z/2026-11-19T00:03:00Z".parse().expect("valid");
    let name = "logs.vpc_flow_logs".parse().expect("a table");
    for (which, format) in [("v2", LogFormat::v2_default()), ("v11", LogFormat::v11())] {
        let log = Case { format: format.clone(), ..Case::of(Pattern::Leak) }.network().flow_logs.remove(0);
        let format = format.header().parse().expect("valid");
        let statements = planned(&gateway, (&log, &format), window, &name).expect("askable");
        for (rung, statement) in statements {
            assert_eq!(refusal(&statement.text).filter(|why| !why.contains("does not exist")), None);
            let name = format!("athena_{which}_{}", rung.subject().replace(' ', "_"));
            insta::assert_snapshot!(name, statement.text);
        }
    }
}

#[tokio::test]
async fn the_report_says_why_athena_was_asked_and_what_it_read() {
    let case = Case { per_hour: true, ..Case::of(Pattern::Leak) };
    let tables = evaluated(&case);
    let diagnosis = of_athena(&case, &case.bucket(), case.network(), &tables).await;
    let why = diagnosis.coverage.flow_log.as_deref().expect("a reason");
    assert!(why.contains("1,000 B are read in place") || why.contains("1000 B are read in place"), "{why}");
    assert!(why.ends_with("asked of the table logs.vpc_flow_logs in Athena"), "{why}");
    let asked = tables.asked.borrow();
    let [statement] = &asked[..] else { panic!("one statement, not {}", asked.len()) };
    // What it reads was known before: whole hours, and no more.
    assert_eq!(statement.stored_bytes, Some(tables.scanned.get()));
    let all: usize = case.objects().values().map(Vec::len).sum();
    assert!(tables.scanned.get() > 0 && tables.scanned.get() <= all as u64);
    let run = diagnosis.queries.iter().find(|run| run.text == statement.text).expect("the statement");
    assert_eq!(run.bytes_scanned, Some(tables.scanned.get()));
    assert!(diagnosis.gaps.iter().all(|gap| !gap.what.contains("fl-")), "{:#?}", diagnosis.gaps);
}

/// What Athena says where it does not run the first `statements`.
fn not_run(case: &Case, statements: usize, cause: Cause) -> Evaluated {
    let refused = Unanswered { why: "athena said no".into(), fix: "mend it".into(), cause };
    Evaluated { refused_first: Some((statements, refused)), ..evaluated(case) }
}

#[tokio::test]
async fn where_athena_refuses_a_statement_a_simpler_one_answers() {
    for format in [LogFormat::v11(), LogFormat::v3_pkt(), LogFormat::v2_default()] {
        let case = Case { format, ..Case::of(Pattern::Leak) };
        let best = of_athena(&case, &case.bucket(), case.network(), &evaluated(&case)).await;
        for (refused, rung) in RUNGS.into_iter().enumerate() {
            let tables = not_run(&case, refused, Cause::Refused);
            let diagnosis = of_athena(&case, &case.bucket(), case.network(), &tables).await;
            assert_eq!(diagnosis.coverage.source, Source::Athena, "{:#?}", diagnosis.gaps);
            let question = diagnosis.coverage.question.as_ref().expect("one was answered");
            assert_eq!(question.name, rung);
            assert_eq!(question.cannot_tell.is_some(), refused > 0);
            let (told, expected) = (&diagnosis.destinations[0], &best.destinations[0]);
            assert_eq!((told.address, told.port), (expected.address, expected.port), "{rung:?}");
            if refused == 0 {
                continue;
            }
            let gap = only(&diagnosis, "athena said no");
            assert!(gap.why.contains("so a simpler one was asked") && !gap.decides, "{gap:?}");
            // All that the first is charged for, the second is not charged for again.
            assert_eq!(
                diagnosis.queries.iter().filter(|run| run.rung.is_some()).count(),
                tables.asked.borrow().len()
            );
            assert!(tables.asked.borrow().iter().all(|asked| asked.stored_bytes.is_some()));
        }
    }
}

/// As Logs Insights is asked them, of the minute with most errors.
#[tokio::test]
async fn simpler_questions_count_alike_in_both_languages() {
    for format in [LogFormat::v11(), LogFormat::v2_default()] {
        let case = Case { format, ..Case::of(Pattern::Leak) };
        let tables = not_run(&case, 1, Cause::Failed);
        let athena = of_athena(&case, &case.bucket(), case.network(), &tables).await;
        let insights = of_insights_beginning_with(&case, Rung::WorstMinute).await;
        let rung = |diagnosis: &Diagnosis| diagnosis.coverage.question.as_ref().map(|question| question.name);
        assert_eq!((rung(&athena), rung(&insights)), (Some(Rung::WorstMinute), Some(Rung::WorstMinute)));
        assert_ne!(athena.destinations, [], "nothing was compared");
        assert_eq!(athena.destinations, insights.destinations);
        assert_eq!(athena.clients, insights.clients);
        assert_eq!((athena.verdict, athena.pattern), (insights.verdict, insights.pattern));
    }
}

#[tokio::test(start_paused = true)]
async fn a_statement_that_takes_long_leaves_time_for_a_quick_one() {
    let case = Case::of(Pattern::Leak);
    let tables = Evaluated { slow: true, ..not_run(&case, 1, Cause::OutOfTime) };
    let began = tokio::time::Instant::now();
    let diagnosis = of_athena(&case, &case.bucket(), case.network(), &tables).await;
    let question = diagnosis.coverage.question.as_ref().map(|question| question.name);
    assert_eq!(question, Some(Rung::DistinctPorts), "{:#?}", diagnosis.gaps);
    assert_eq!(began.elapsed(), Duration::from_secs(60), "half of two minutes");
    assert_eq!(diagnosis.verdict, Verdict::Likely, "distinct ports are counted approximately");
}

#[tokio::test]
async fn what_would_read_too_much_is_not_asked_more_simply() {
    let case = Case::of(Pattern::Leak);
    let tables = not_run(&case, 1, Cause::TooLarge);
    let diagnosis = of_athena(&case, &case.bucket(), case.network(), &tables).await;
    assert_eq!(diagnosis.coverage.source, Source::S3);
    assert_eq!(tables.asked.borrow().len(), 1);
}

#[tokio::test]
async fn another_flow_log_in_the_table_counts_for_nothing() {
    let case = Case::of(Pattern::Leak);
    let account = case.simulation.facts().account_id;
    let mut objects = case.objects();
    objects.extend(case.objects_of("fl-00000000000000000", &account));
    let tables = Evaluated::of(vec![table(&case)], BUCKET, &objects);
    let diagnosis = of_athena(&case, &Bucket::of(objects), case.network(), &tables).await;
    let alone = of_athena(&case, &case.bucket(), case.network(), &evaluated(&case)).await;
    assert_eq!(diagnosis.destinations, alone.destinations);
    assert!(tables.asked.borrow()[0].text.contains(FLOW_LOG));
}

#[tokio::test]
async fn without_an_answer_of_athena_what_fits_is_read_in_place() {
    let case = Case::of(Pattern::Leak);
    let refused = Unanswered { why: "athena said no".into(), fix: "allow it".into(), cause: Cause::Other };
    let mut tables = evaluated(&case);
    tables.refused_after = Some((0, refused));
    let diagnosis = of_athena(&case, &case.bucket(), case.network(), &tables).await;
    assert_eq!(diagnosis.coverage.source, Source::S3);
    assert_eq!(only(&diagnosis, "athena said no").fix.to_string(), "allow it");
    assert!(only(&diagnosis, "are read in place").decides);
}

#[tokio::test]
async fn files_that_fit_are_read_in_place_and_athena_is_not_asked() {
    let case = Case::of(Pattern::Leak);
    let tables = evaluated(&case);
    let bucket = case.bucket();
    let insights = LogsInsights::new(Evaluator::new(store(&[])));
    let athena = Athena::new(&tables, "logs".parse().expect("a database"));
    let live = Live::new(&insights, BucketFiles::new(&bucket, Most::ON_MACHINE)).or_asking(Some(athena));
    let looked = triage(case.incident(), &Known(case.network()), &live, case.limits()).await;
    assert_eq!(looked.expect("never fails").diagnosis.coverage.source, Source::S3);
    assert!(tables.asked.borrow().is_empty());
}

#[tokio::test]
async fn a_table_that_would_mislead_is_not_asked() {
    let case = Case::of(Pattern::Leak);
    let good = table(&case);
    let changed = |change: fn(&mut Table)| {
        let mut table = good.clone();
        change(&mut table);
        table
    };
    for (table, why) in [
        (changed(|table| table.columns.swap(3, 4)), "its column 4 is"),
        (changed(|table| table.partition_keys.clear()), "would read all of it"),
        (
            changed(|table| {
                let elsewhere = "s3://flow-logs/elsewhere/AWSLogs/".to_owned();
                table.parameters.insert("storage.location.template".into(), elsewhere);
            }),
            "its location is flow-logs/elsewhere/AWSLogs/",
        ),
        (
            changed(|table| {
                table.parameters.insert("serde.serialization.lib".into(), "ParquetHiveSerDe".into());
            }),
            "it is for Parquet, and the flow log's files are text",
        ),
        (changed(|table| table.columns.retain(|column| !column.name.contains("port"))), "of its columns"),
        (
            changed(|table| {
                table.partition_keys.push(Column { name: "tenant".into(), kind: "string".into() });
                table.parameters.insert("projection.tenant.type".into(), "injected".into());
            }),
            "a value for its partition tenant",
        ),
    ] {
        let tables = Evaluated::of(vec![table], BUCKET, &case.objects());
        let diagnosis = of_athena(&case, &case.bucket(), case.network(), &tables).await;
        let gap = only(&diagnosis, why);
        assert!(gap.fix.to_string().contains("NAT_TRIAGE_ATHENA_TABLE"), "{gap:?}");
        assert!(tables.asked.borrow().is_empty());
    }
}

#[test]
fn the_evaluator_refuses_what_trino_is_not_known_to_take() {
    let of = |select: &str| {
        format!("WITH q0 AS (\nSELECT {select} FROM \"logs\".\"t\"\nWHERE 1 = 1\n)\nSELECT * FROM q0")
    };
    for (statement, why) in [
        (of("\"a\"::BIGINT"), "mismatched input"),
        (of("list_value(1)"), "not registered"),
        (of("1 AS \"a\", \"a\" + 1 AS \"b\""), "cannot be resolved"),
        (of("1 AS \"a\", 2 AS \"A\""), "more than once"),
        (of("1 AS first"), "is reserved"),
        (of("[1, 2]"), "mismatched input"),
    ] {
        let refused = refusal(&statement);
        assert!(refused.as_deref().is_some_and(|refused| refused.contains(why)), "{statement}: {refused:?}");
    }
    assert_eq!(refusal("SELECT 1 AS \"a\""), None);
}

#[tokio::test]
async fn a_later_look_without_an_answer_keeps_the_earlier_one() {
    let case = Case::of(Pattern::Leak);
    let (mut tables, bucket) = (evaluated(&case), case.bucket());
    let insights = LogsInsights::new(Evaluator::new(store(&[])));
    let refused =
        Unanswered { why: "the limit is used up".into(), fix: "raise it".into(), cause: Cause::TooLarge };
    tables.refused_after = Some((1, refused));
    let athena = Athena::new(&tables, "logs.vpc_flow_logs".parse().expect("a table"));
    let live = Live::new(&insights, BucketFiles::new(&bucket, LITTLE)).or_asking(Some(athena));
    let known = Known(case.network());
    let first = triage(case.incident(), &known, &live, case.limits()).await.expect("never fails").diagnosis;
    let later = triage(case.incident(), &known, &live, case.limits()).await.expect("never fails").diagnosis;
    assert_eq!(tables.asked.borrow().len(), 2);
    assert_eq!((later.verdict, &later.destinations), (first.verdict, &first.destinations));
    assert!(!only(&later, "the limit is used up").decides);
}

#[tokio::test]
async fn what_athena_would_read_is_known_before_it_is_asked() {
    let case = Case::of(Pattern::Leak);
    let bucket =
        Bucket { lists_refused: Some(Refusing { with: "AWSLogs", cause: S3::Denied }), ..case.bucket() };
    let tables = evaluated(&case);
    let diagnosis = of_athena(&case, &bucket, case.network(), &tables).await;
    assert_eq!(diagnosis.verdict, Verdict::CannotTell);
    only(&diagnosis, "what Athena would read could not be found out");
    assert!(tables.asked.borrow().is_empty());
}

/// With its own account and Region in the template of its locations, and a number for each part of the time.
#[tokio::test]
async fn a_table_as_the_stack_makes_it_is_asked() {
    for (hive, per_hour) in [(false, true), (true, false)] {
        let case = Case { hive, per_hour, ..Case::of(Pattern::Leak) };
        let facts = case.simulation.facts();
        let (account, region) = (&facts.account_id, &facts.region);
        let day = if hive {
            format!(
                "aws-account-id={account}/aws-service=vpcflowlogs/aws-region={region}/year=${{year}}/month=${{month}}/day=${{day}}/"
            )
        } else {
            format!("{account}/vpcflowlogs/{region}/${{year}}/${{month}}/${{day}}/")
        };
        let hour = if per_hour { "${hour}/" } else { "" };
        let mut made = table(&case);
        made.parameters.retain(|name, _| !name.starts_with("projection."));
        made.parameters.insert("projection.enabled".into(), "true".into());
        let template = format!("s3://{BUCKET}/{FOLDER}AWSLogs/{day}{hour}");
        made.parameters.insert("storage.location.template".into(), template);
        let mut keys = vec![("year", "4"), ("month", "2"), ("day", "2")];
        keys.extend(per_hour.then_some(("hour", "2")));
        for (key, digits) in &keys {
            made.parameters.insert(format!("projection.{key}.type"), "integer".into());
            made.parameters.insert(format!("projection.{key}.digits"), (*digits).into());
        }
        made.partition_keys = columns(&keys.iter().map(|(key, _)| (*key, "string")).collect::<Vec<_>>());
        let tables = Evaluated::of(vec![made], BUCKET, &case.objects());
        let diagnosis = of_athena(&case, &case.bucket(), case.network(), &tables).await;
        assert_eq!(diagnosis.coverage.source, Source::Athena, "{:#?}", diagnosis.gaps);
        assert_eq!(diagnosis.destinations, of_insights(&case).await.destinations);
        assert!(diagnosis.queries.iter().all(|run| run.bytes_scanned.is_some()));
    }
}
