//! What takes one client's connections off the gateway within minutes, by what sort of thing owns its address: the
//! calls that stop, cap or restart it, what undoes them, and what they lose.

use std::net::IpAddr;

use super::Shortage;
use crate::command_line::{Blank, CommandLine};
use crate::contract::{ClientReport, Command, Condition, Pattern, Undo};
use crate::diagnosis::commands::{describe_owners, quoted, region_option, shown};
use crate::diagnosis::findings::Findings;
use crate::network::{GatewayKind, Handles, Owner, OwnerKind, OwnerSource, is_id};

/// Longest name that is said; the report has more of it.
const NAME: usize = 80;

/// What relieves the gateway of one client.
#[derive(Debug)]
pub(super) struct Cap {
    /// What to do, in a few words.
    pub(super) title: String,
    /// What has to be found out first.
    pub(super) condition: Option<Condition>,
    pub(super) commands: Vec<Command>,
    pub(super) hazards: Vec<String>,
}

/// What relieves the gateway of this client of the destination; a rule of a network ACL has this number.
pub(super) fn cap(shortage: &Shortage<'_>, client: &ClientReport, rule: u16) -> Cap {
    let findings = shortage.findings;
    let known = |owner: &&Owner| client.name.is_some() || owner.handles != Handles::default();
    let owner = findings.network.owner_of(client.address).filter(known);
    let Some(owner) = owner else { return unknown(shortage, client, rule) };
    let of = Capped { shortage, address: client.address, owner, rule };
    let mut cap = match owner.kind {
        OwnerKind::Instance => of.instance(),
        OwnerKind::EcsTask => of.task(),
        OwnerKind::LambdaFunctions => of.functions(),
        OwnerKind::EksNode => of.node(),
        OwnerKind::EksPod => of.pod(),
        OwnerKind::OutsideVpc => of.outside(),
        OwnerKind::LoadBalancer | OwnerKind::AwsService | OwnerKind::Interface => of.interface(),
    };
    if owner.kind.is_shared() {
        cap.hazards.push(format!(
            "{} may stand for several workloads: a step against it affects all of them.",
            client.address
        ));
    }
    if owner.source == OwnerSource::Lookup && cap.condition.is_none() {
        cap.hazards.push(format!(
            "EC2 says who has {} now. If the address changed hands since these minutes, somebody else had it then.",
            client.address
        ));
    }
    // By the port alone, somebody who uses another server may be taken for a holder of this one's ports.
    if !client.attribution.is_certain() && cap.condition.is_none() {
        cap.condition = Some(of.whether_it_is_the_one());
    }
    cap
}

/// What stopping a client of which nothing is known may break.
pub(super) const LOOK_FIRST: &str = "Stopping or restarting it breaks off its work. Look first at what it is. The address may stand for several workloads, such as pods behind a node, or Lambda functions that share an interface.";

/// The same of several clients.
pub(super) const LOOK_FIRST_AT_EACH: &str = "Stopping or restarting them breaks off their work. Look first at what each is. An address may stand for several workloads, such as pods behind a node, or Lambda functions that share an interface.";

/// A client whose owner is not known.
fn unknown(shortage: &Shortage<'_>, client: &ClientReport, rule: u16) -> Cap {
    let address = client.address;
    let command = describe_owners(&[address], shortage.region()).into_iter().next().unwrap_or_default();
    let (commands, shut_out) = shut_out(shortage.findings, address, rule, &shortage.errors_stop());
    let mut hazards = vec![LOOK_FIRST.to_owned()];
    hazards.extend(shut_out);
    Cap {
        title: format!("Stop or cap whoever has {address}"),
        condition: Some(Condition { unknown: format!("who owns {address}"), command: command.into() }),
        commands,
        hazards,
    }
}

/// An address of which the owner is known.
struct Capped<'a> {
    shortage: &'a Shortage<'a>,
    address: IpAddr,
    owner: &'a Owner,
    /// The number of a rule of a network ACL against it.
    rule: u16,
}

impl Capped<'_> {
    fn region(&self) -> String {
        region_option(self.shortage.region())
    }

    /// Whether a fresh start by itself frees the ports for some time: what holds them is left over, not needed.
    fn starts_afresh(&self) -> bool {
        self.shortage.pattern == Some(Pattern::Leak)
    }

    /// A step after which the errors stop, where it works.
    fn step(&self, does: impl Into<String>, run: impl Into<CommandLine>, undo: impl Into<Undo>) -> Command {
        Command { does: does.into(), run: run.into(), verify: self.shortage.errors_stop(), undo: undo.into() }
    }

    fn called(&self) -> String {
        crate::words::outside(&self.owner.name, NAME)
    }

    /// What decides whether a client that was joined by the destination's port alone is a holder.
    fn whether_it_is_the_one(&self) -> Condition {
        let top = self.shortage.top;
        let to = match top.address {
            IpAddr::V4(four) => format!("{four}:{}", top.destination.port),
            IpAddr::V6(six) => format!("[{six}]:{}", top.destination.port),
        };
        let count = format!("ss --no-header --numeric --all dst {} | wc -l", quoted(&to));
        let command = match self.owner.instance_id() {
            Some(instance) => format!(
                "aws ssm start-session --target {instance} --document-name AWS-StartInteractiveCommand --parameters {}{}",
                quoted(&format!("command={count}")),
                self.region()
            ),
            None => count,
        };
        Condition {
            unknown: format!(
                "whether {} itself uses {}, because the records join them by the port only",
                self.address,
                top.label()
            ),
            command: command.into(),
        }
    }

    fn instance(&self) -> Cap {
        let Some(id) = self.owner.instance_id() else { return self.interface() };
        let region = self.region();
        let Some(group) = self.owner.handles.scaling_group.as_deref() else {
            return self.single_instance(id);
        };
        let named = quoted(group);
        let counts = format!(
            "aws autoscaling describe-auto-scaling-groups --auto-scaling-group-names {named} --query 'AutoScalingGroups[].[MinSize,DesiredCapacity,MaxSize]' --output text{region}"
        );
        let ended = |option: &str| {
            format!(
                "aws autoscaling terminate-instance-in-auto-scaling-group --instance-id {id} {option}{region}"
            )
        };
        let fewer = Command {
            does: "ends it and lowers the group's desired capacity by one, so that nothing takes its place"
                .into(),
            run: ended("--should-decrement-desired-capacity").into(),
            verify: counts.into(),
            undo: CommandLine::with(format!(
                "aws autoscaling set-desired-capacity --auto-scaling-group-name {named} --desired-capacity CAPACITY_BEFORE{region}"
            ), &[Blank::CAPACITY_BEFORE]).into(),
        };
        let afresh = Command {
            does: "ends it, and lets the group start a fresh one in its place".into(),
            run: ended("--no-should-decrement-desired-capacity").into(),
            verify: format!(
                "aws autoscaling describe-auto-scaling-groups --auto-scaling-group-names {named} --query 'AutoScalingGroups[].Instances[].[InstanceId,LifecycleState,HealthStatus]' --output text{region}"
            ).into(),
            undo: Undo::nothing(
                "the group starts another instance by itself. What was on this one does not come back",
            ),
        };
        let (title, command) = if self.starts_afresh() {
            (format!("Replace {id} by a fresh instance of its Auto Scaling group {}", shown(group)), afresh)
        } else {
            (format!("Run the Auto Scaling group {} without {id}", shown(group)), fewer)
        };
        let mut hazards = vec![format!(
            "This terminates {id}. Its work breaks off, and what is on its disks and in its memory is lost."
        )];
        if !self.starts_afresh() {
            hazards.push("Run the command under Verify before as well, and write down the desired capacity, which is the second number: to undo, it takes the place of CAPACITY_BEFORE.".into());
            hazards.push("Until this is undone, one instance fewer serves. The load may move to the others, and a scaling policy may start another instance. The group's minimum size may forbid this.".into());
        }
        Cap { title, condition: None, commands: vec![command], hazards }
    }

    fn single_instance(&self, id: &str) -> Cap {
        let region = self.region();
        let state = format!(
            "aws ec2 describe-instance-status --include-all-instances --instance-ids {id} --query 'InstanceStatuses[].[InstanceState.Name,InstanceStatus.Status]' --output text{region}"
        );
        let mut hazards = vec![
            "This breaks off the instance's work. What is in memory is lost, and programs that do not start by themselves stay down. Restarting only the program that holds the connections loses less.".to_owned(),
        ];
        if self.shortage.pattern == Some(Pattern::RetryStorm) {
            hazards.push("A stopped instance serves nothing. It loses its instance-store disks, and its public address unless that is an Elastic IP. An Auto Scaling group would replace it.".into());
            return Cap {
                title: format!("Stop {id}, which keeps retrying"),
                condition: None,
                commands: vec![Command {
                    does: "stops the instance".into(),
                    run: format!("aws ec2 stop-instances --instance-ids {id}{region}").into(),
                    verify: state.into(),
                    undo: format!("aws ec2 start-instances --instance-ids {id}{region}").into(),
                }],
                hazards,
            };
        }
        if !self.starts_afresh() {
            hazards.push(
                "The instance takes the ports again as its load comes back, unless its pool is made smaller."
                    .into(),
            );
        }
        Cap {
            title: format!("Restart {id}, which has {}", self.address),
            condition: None,
            commands: vec![Command {
                does: "reboots the instance; its addresses and disks stay".into(),
                run: format!("aws ec2 reboot-instances --instance-ids {id}{region}").into(),
                verify: state.into(),
                undo: Undo::nothing("it comes up again by itself"),
            }],
            hazards,
        }
    }

    fn task(&self) -> Cap {
        let region = self.region();
        let handles = &self.owner.handles;
        let Some(cluster) = handles.ecs_cluster.as_deref().map(quoted) else {
            return self.task_of_unknown_cluster();
        };
        let Some(service) = handles.ecs_service.as_deref() else {
            let Some(task) = handles.ecs_task.as_deref() else { return self.task_of_unknown_cluster() };
            return Cap {
                title: format!("Stop the ECS task {}", shown(task)),
                condition: None,
                commands: vec![self.step(
                    "stops the task",
                    format!(
                        "aws ecs stop-task --cluster {cluster} --task {} --reason 'NAT gateway ports'{region}",
                        quoted(task)
                    ),
                    Undo::nothing("a stopped task does not run again; a service starts another, else use aws ecs run-task"),
                )],
                hazards: vec!["This breaks off the task's work. What is in its memory and on its own disk is lost.".into()],
            };
        };
        let named = quoted(service);
        let counts = format!(
            "aws ecs describe-services --cluster {cluster} --services {named} --query 'services[].[desiredCount,runningCount,pendingCount]' --output text{region}"
        );
        let update = |option: &str| {
            CommandLine::with(
                format!("aws ecs update-service --cluster {cluster} --service {named} {option}{region}"),
                &[Blank::LOWER_COUNT, Blank::COUNT_BEFORE],
            )
        };
        if self.starts_afresh() {
            return Cap {
                title: format!("Let the ECS service {} start fresh tasks", shown(service)),
                condition: None,
                commands: vec![Command {
                    does: "replaces the service's tasks one after another by fresh ones".into(),
                    run: update("--force-new-deployment"),
                    verify: counts.into(),
                    undo: Undo::nothing("the fresh tasks are of the task definition that the service has now"),
                }],
                hazards: vec!["This breaks off the work of each task as it is replaced. What is in its memory is lost. A tag such as latest may bring another image.".into()],
            };
        }
        Cap {
            title: format!("Lower the desired count of the ECS service {}", shown(service)),
            condition: None,
            commands: vec![Command {
                does: "lowers how many tasks the service runs".into(),
                run: update("--desired-count LOWER_COUNT"),
                verify: counts.into(),
                undo: update("--desired-count COUNT_BEFORE").into(),
            }],
            hazards: vec!["Until this is undone, fewer tasks serve. ECS chooses which tasks end, and Service Auto Scaling may raise the count again. Run the command under Verify before as well, and write down the desired count: to undo, it takes the place of COUNT_BEFORE.".into()],
        }
    }

    fn task_of_unknown_cluster(&self) -> Cap {
        let region = self.region();
        let command = format!(
            "aws ecs describe-tasks --cluster CLUSTER_NAME --tasks $(aws ecs list-tasks --cluster CLUSTER_NAME --query 'taskArns[]' --output text{region}) --query 'tasks[?attachments[?details[?value==`\"{}\"`]]].[taskArn,group]' --output text{region}",
            self.address
        );
        Cap {
            title: format!("Stop the ECS task that has {}", self.address),
            condition: Some(Condition {
                unknown: format!("which ECS task has {}", self.address),
                command: CommandLine::with(command, &[Blank::CLUSTER_NAME]),
            }),
            commands: vec![self.step(
                "stops the task",
                CommandLine::with(
                    format!("aws ecs stop-task --cluster CLUSTER_NAME --task TASK_ARN --reason 'NAT gateway ports'{region}"),
                    &[Blank::CLUSTER_NAME, Blank::TASK_ARN],
                ),
                Undo::nothing("a stopped task does not run again; a service starts another, else use aws ecs run-task"),
            )],
            hazards: vec!["This breaks off the task's work. What is in its memory and on its own disk is lost.".into()],
        }
    }

    fn functions(&self) -> Cap {
        let region = self.region();
        let subnet = self.owner.handles.subnet_id.as_deref().filter(|id| is_id(id, "subnet-"));
        let subnet = subnet.or_else(|| {
            let subnet = self.shortage.findings.network.subnet_of(self.address)?;
            Some(subnet.id.as_str()).filter(|id| is_id(id, "subnet-"))
        });
        let command = format!(
            "aws lambda list-functions --query 'Functions[?VpcConfig.SubnetIds && contains(VpcConfig.SubnetIds, `\"{}\"`)].[FunctionName,VpcConfig.SecurityGroupIds]' --output json{region}",
            subnet.unwrap_or("SUBNET_ID")
        );
        let concurrency = |call: &str| format!("aws lambda {call} --function-name FUNCTION_NAME");
        Cap {
            title: "Cap the Lambda function by its reserved concurrency".into(),
            condition: Some(Condition {
                unknown: format!("which of the Lambda functions that share {} it is", self.address),
                command: CommandLine::with(command, &[Blank::SUBNET_ID]),
            }),
            commands: vec![Command {
                does: "lets the function run so many times at once and no more".into(),
                run: CommandLine::with(format!(
                    "{} --reserved-concurrent-executions MAX_CONCURRENCY{region}",
                    concurrency("put-function-concurrency")
                ), &[Blank::FUNCTION_NAME, Blank::MAX_CONCURRENCY]),
                verify: CommandLine::with(format!("{}{region}", concurrency("get-function-concurrency")), &[Blank::FUNCTION_NAME]),
                undo: CommandLine::with(format!("{}{region}", concurrency("delete-function-concurrency")), &[Blank::FUNCTION_NAME]).into(),
            }],
            hazards: vec!["Calls above the cap are throttled: callers get errors, and events wait or are lost. Run the command under Verify before as well: it shows whether the function has a reserved concurrency already. If it has, set that again instead of deleting it.".into()],
        }
    }

    fn kubectl_set_up(&self) -> String {
        let cluster = self.owner.handles.eks_cluster.as_deref();
        cluster.map_or(String::new(), |cluster| format!(" of the EKS cluster {}", shown(cluster)))
    }

    fn node(&self) -> Cap {
        let command = format!(
            "kubectl get pods --all-namespaces --output jsonpath='{{range .items[?(@.status.hostIP==\"{}\")]}}{{.metadata.namespace}}{{\" \"}}{{.metadata.name}}{{\"\\n\"}}{{end}}'",
            self.address
        );
        self.deployment(Condition {
            unknown: format!("which pod on the node {}{} it is", self.address, self.kubectl_set_up()),
            command: command.into(),
        })
    }

    fn pod(&self) -> Cap {
        let command = format!(
            "kubectl get pods --all-namespaces --field-selector status.podIP={} --output wide",
            self.address
        );
        self.deployment(Condition {
            unknown: format!("which pod{} has {}", self.kubectl_set_up(), self.address),
            command: command.into(),
        })
    }

    /// What caps the deployment of a pod, once it is known.
    fn deployment(&self, condition: Condition) -> Cap {
        let deployment = |verb: &str, after: &str| {
            CommandLine::with(
                format!("kubectl --namespace POD_NAMESPACE {verb} deployment/DEPLOYMENT_NAME{after}"),
                &[Blank::POD_NAMESPACE, Blank::DEPLOYMENT_NAME, Blank::LOWER_COUNT, Blank::COUNT_BEFORE],
            )
        };
        let shows = deployment("get", "");
        let (title, command, hazard) = if self.starts_afresh() {
            (
                "Restart the pod's deployment",
                Command {
                    does: "replaces the deployment's pods one after another by fresh ones".into(),
                    run: deployment("rollout restart", ""),
                    verify: deployment("rollout status", ""),
                    undo: Undo::nothing("the fresh pods are of the same template"),
                },
                "This breaks off the work of each pod as it is replaced. What is in its memory and on its own disk is lost.",
            )
        } else {
            (
                "Lower the replicas of the pod's deployment",
                Command {
                    does: "lowers how many pods the deployment runs".into(),
                    run: deployment("scale", " --replicas=LOWER_COUNT"),
                    verify: shows,
                    undo: deployment("scale", " --replicas=COUNT_BEFORE").into(),
                },
                "Until this is undone, fewer pods serve. Kubernetes chooses which pods end, and an autoscaler may raise the count again. Run the command under Verify before as well, and write down the count: to undo, it takes the place of COUNT_BEFORE.",
            )
        };
        Cap {
            title: title.into(),
            condition: Some(condition),
            commands: vec![command],
            hazards: vec![hazard.into()],
        }
    }

    /// What came through a transit gateway: who has the address is known there.
    fn outside(&self) -> Cap {
        let region = self.region();
        let bits = if self.address.is_ipv4() { 32 } else { 128 };
        let (commands, hazards) =
            shut_out(self.shortage.findings, self.address, self.rule, &self.shortage.errors_stop());
        Cap {
            title: format!("Stop or cap whoever has {} outside the VPC", self.address),
            condition: Some(Condition {
                unknown: format!("from which network {} comes", self.address),
                command: CommandLine::with(
                    format!(
                        "aws ec2 search-transit-gateway-routes --transit-gateway-route-table-id TRANSIT_GATEWAY_ROUTE_TABLE_ID --filters Name=route-search.longest-prefix-match,Values={}/{bits} --query 'Routes[].[DestinationCidrBlock,TransitGatewayAttachments[].[ResourceType,ResourceId]]' --output json{region}",
                        self.address
                    ),
                    &[Blank::TRANSIT_GATEWAY_ROUTE_TABLE_ID],
                ),
            }),
            commands,
            hazards,
        }
    }

    /// An interface of which no more is known than what it is called.
    fn interface(&self) -> Cap {
        let command = match self.owner.interface_id() {
            Some(id) => format!(
                "aws ec2 describe-network-interfaces --network-interface-ids {id} --output json{}",
                self.region()
            ),
            None => describe_owners(&[self.address], self.shortage.region())
                .into_iter()
                .next()
                .unwrap_or_default(),
        };
        let (commands, hazards) =
            shut_out(self.shortage.findings, self.address, self.rule, &self.shortage.errors_stop());
        Cap {
            title: format!("Stop or cap what runs behind {}", self.address),
            condition: Some(Condition {
                unknown: format!("what runs behind {} ({})", self.address, self.called()),
                command: command.into(),
            }),
            commands,
            hazards,
        }
    }
}

/// Rule of a network ACL that comes before all others. Each client has a rule of its own, so that each can be undone.
pub(super) const FIRST_RULE: u16 = 1;

/// What keeps a client away from the gateway whoever it is, by a rule of this number, and what that breaks: nothing for a gateway without a
/// subnet, and for a client in the gateway's own, whose packets pass no network ACL on the way.
///
/// Source: "NAT gateways" and "Network ACL basics" in the Amazon VPC user guide.
pub(super) fn shut_out(
    findings: &Findings<'_>,
    client: IpAddr,
    rule: u16,
    verify: &CommandLine,
) -> (Vec<Command>, Vec<String>) {
    let gateway = &findings.network.gateway;
    let subnet = gateway.subnet_id.as_deref().filter(|_| gateway.kind != GatewayKind::Regional);
    let own = findings.network.subnet_of(client).map(|subnet| subnet.id.as_str());
    let Some(subnet) = subnet.filter(|subnet| own != Some(subnet)) else { return (Vec::new(), Vec::new()) };
    let region = region_option(findings.region());
    let block = match client {
        IpAddr::V4(four) => format!("--cidr-block {four}/32"),
        IpAddr::V6(six) => format!("--ipv6-cidr-block {six}/128"),
    };
    let shows = format!(
        "aws ec2 describe-network-acls --filters {} --query 'NetworkAcls[].[NetworkAclId,Entries[?!Egress].RuleNumber]' --output json{region}",
        quoted(&format!("Name=association.subnet-id,Values={subnet}"))
    );
    let commands = vec![
        Command {
            does: "shows the network ACL of the gateway's subnet, and which rule numbers are taken".into(),
            run: shows.into(),
            verify: verify.clone(),
            undo: Undo::nothing("this only shows the network ACL"),
        },
        Command {
            does: format!("keeps {client} away from the gateway, whoever it is"),
            run: CommandLine::with(format!(
                "aws ec2 create-network-acl-entry --network-acl-id NETWORK_ACL_ID --ingress --rule-number {rule} --protocol all {block} --rule-action deny{region}"
            ), &[Blank::NETWORK_ACL_ID]),
            verify: verify.clone(),
            undo: CommandLine::with(format!(
                "aws ec2 delete-network-acl-entry --network-acl-id NETWORK_ACL_ID --ingress --rule-number {rule}{region}"
            ), &[Blank::NETWORK_ACL_ID]).into(),
        },
    ];
    let hazards = vec![format!(
        "The rule of the network ACL cuts {client} off at once from everything behind the gateway, and from everything else in {} and in other subnets with the same network ACL. The ports that it holds are free 350 s later. Where rule {rule} is taken, choose a free number below the others.",
        shown(subnet)
    )];
    (commands, hazards)
}
