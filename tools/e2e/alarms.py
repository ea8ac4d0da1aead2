"""The events of events/, about the gateway and the minutes of this run."""

import copy
import datetime
import json
from pathlib import Path

EVENTS = Path(__file__).resolve().parents[2] / "events"


def spelt(second):
    return datetime.datetime.fromtimestamp(second, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000+0000")


def alarm(gateway, errors, end):
    """events/alarm.json, which tells of these errors."""
    event = json.loads((EVENTS / "alarm.json").read_text())
    breaching = [{"timestamp": spelt(minute), "sampleCount": 1.0, "value": float(sum)} for minute, sum in reversed(errors)]
    reason = {
        "version": "1.0",
        "queryDate": spelt(end),
        "startDate": spelt(errors[0][0]),
        "statistic": "Sum",
        "period": 60,
        "recentDatapoints": [float(sum) for _, sum in errors],
        "threshold": 0.0,
        "evaluatedDatapoints": breaching,
    }
    state = event["alarmData"]["state"]
    state["reasonData"] = json.dumps(reason)
    state["timestamp"] = spelt(end + 5)
    metric = event["alarmData"]["configuration"]["metrics"][0]["metricStat"]["metric"]
    metric["dimensions"] = {"NatGatewayId": gateway}
    return event


def later(event, times):
    """The alarm's next transition but so many, about the same minutes: an incident of its own."""
    event = copy.deepcopy(event)
    state = event["alarmData"]["state"]
    at = datetime.datetime.strptime(state["timestamp"], "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()
    state["timestamp"] = spelt(at + times * 600)
    return event


def composite(event, child_arn):
    """A composite alarm, which names no gateway, over an alarm that does."""
    event = copy.deepcopy(event)
    data = event["alarmData"]
    data["alarmName"] = "nat-any"
    data["configuration"] = {"alarmRule": f'ALARM("{child_arn.rsplit(":", 1)[-1]}")'}
    fired = {"triggeringAlarms": [{"arn": child_arn, "state": {"value": "ALARM"}}]}
    data["state"]["reasonData"] = json.dumps(fired)
    return event
