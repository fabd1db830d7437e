"""The template that a stage deploys: functions, permissions, API, stored data, alarms."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from app import cors
from chalicelib.api import problems
from chalicelib.api.routes import ROUTES
from chalicelib.dynamodb import items, pool_items
from chalicelib.dynamodb.keys import SCHEDULE_SHARDS
from chalicelib.dynamodb.schema import SCHEMA
from chalicelib.model.errors import CATALOG, Refusal
from chalicelib.model.model import Customer, Member, Pool
from chalicelib.model.policy import Policy
from chalicelib.observability import emf_record
from chalicelib.services.expiry import SweepResult
from tests.support.pages import anchors
from tests.support.sam import expanded
from tools.compression import MINIMUM_BYTES
from tools.deploy.aliases import publish_version
from tools.deploy.change_sets import STATEFUL
from tools.deploy.package import chalice_package
from tools.deploy.settings import SETTINGS
from tools.deploy.stages import STAGES
from tools.paths import PROJECT

A_CUSTOMER = Customer("main", "p", "c", "Name", "available", 1, 0, 0, 0, 0, 1)
A_MEMBER = Member("main", "p", "alice", "member")
A_POOL = Pool("main", "p", "P", "open", Policy(), 1, 0, 0)
PUBLIC = {("GET", "/v1/health"), ("GET", "/v1/openapi.json"), ("GET", "/console"), ("GET", "/console/{file}")}
ENOUGH = {
    "APIHandler": {"BatchGetItem", "Query", "ConditionCheckItem", "PutItem", "UpdateItem", "DeleteItem"},
    "Authorizer": set[str](),
    "SweepExpired": {"BatchGetItem", "Query", "ConditionCheckItem", "PutItem", "UpdateItem", "DeleteItem"},
    "PublishEvents": {"DescribeStream", "GetRecords", "GetShardIterator", "ListStreams"},
    "IndexNames": {
        "DescribeStream", "GetRecords", "GetShardIterator", "ListStreams",
        "BatchGetItem", "ConditionCheckItem", "UpdateItem", "DeleteItem",
    },
}  # fmt: skip
BESIDE = {
    "SweepExpired": {"sqs:SendMessage"},
    "PublishEvents": {"events:PutEvents", "sqs:SendMessage"},
    "IndexNames": {"sqs:SendMessage"},
}
PARTS_OF_THE_TABLE = [{"Fn::Sub": f"${{Table.Arn}}/{part}/*"} for part in ("index", "stream")]
VARIABLES = {
    "APIHandler": {
        "COMMIT", "TABLE_NAME", "METRICS", "KEY_SECRET", "SIGN_IN_ISSUER", "SIGN_IN_CLIENT", "SIGN_IN_SCOPE",
        "SIGN_IN_TOKEN", "SIGN_IN_HOSTS",
    },
    "Authorizer": {"COMMIT", "JWKS", "JWT_ISSUER", "JWT_AUDIENCE", "JWT_CLIENTS"},
    "SweepExpired": {"COMMIT", "FAN_OUT", "TABLE_NAME", "METRICS"},
    "PublishEvents": {"COMMIT", "EVENT_BUS", "FAILED_EVENTS", "METRICS"},
    "IndexNames": {"COMMIT", "TABLE_NAME", "METRICS"},
}  # fmt: skip
# The responses of API Gateway itself, with the reason that each is reported as. An unknown path is a "missing
# authentication token" to API Gateway.
# https://docs.aws.amazon.com/apigateway/latest/developerguide/supported-gateway-response-types.html
REASONS = {
    "UNAUTHORIZED": "unauthenticated",
    "ACCESS_DENIED": "not_a_member",
    "EXPIRED_TOKEN": "not_a_member",
    "INVALID_API_KEY": "not_a_member",
    "INVALID_SIGNATURE": "not_a_member",
    "WAF_FILTERED": "not_a_member",
    "MISSING_AUTHENTICATION_TOKEN": "not_found",
    "RESOURCE_NOT_FOUND": "not_found",
    "REQUEST_TOO_LARGE": "payload_too_large",
    "THROTTLED": "throttled",
    "QUOTA_EXCEEDED": "throttled",
    "DEFAULT_4XX": "malformed",
    "AUTHORIZER_FAILURE": "store_unavailable",
    "AUTHORIZER_CONFIGURATION_ERROR": "store_unavailable",
    "DEFAULT_5XX": "outcome_unknown",
}
REGIONS = ("us-east-1", "cn-north-1")
ALL_ON = {
    "Stage": "prod", "Canary": "on", "SnapStart": "on", "Tracing": "on", "FanOut": "on",
    "WebAcl": "arn:${AWS::Partition}:wafv2:region:1:regional/webacl/a/b", "DomainName": "pool.example.com",
    "DomainCertificate": "arn:${AWS::Partition}:acm:region:1:certificate/a", "AlarmEmail": "ops@example.com",
}  # fmt: skip
LOGGING = {"logs:CreateLogStream", "logs:PutLogEvents"}


@pytest.fixture(scope="module")
def packaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template of the stage `prod`, as `make package` builds it."""
    return chalice_package(STAGES["prod"], tmp_path_factory.mktemp("package")) / "sam.yaml"


@pytest.fixture(scope="module")
def template(packaged: Path) -> dict[str, Any]:
    """The template with the values of the stage `prod`."""
    written = yaml.safe_load(packaged.read_text())
    return dict(of_stage(written, written["Mappings"]["Stages"]["prod"]))


def of_stage(part: Any, stage: dict[str, int]) -> Any:
    if isinstance(part, list):
        return [of_stage(each, stage) for each in part]
    if not isinstance(part, dict):
        return part
    if "Fn::FindInMap" in part:
        mapping, key, name = part["Fn::FindInMap"]
        if mapping == "Stages":
            assert key == {"Ref": "Stage"}
            return stage[name]
    return {name: of_stage(each, stage) for name, each in part.items()}


@pytest.fixture(scope="module")
def resources(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: resource.get("Properties", {}) for name, resource in template["Resources"].items()}


@pytest.fixture(scope="module")
def api(resources: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return dict(resources["RestAPI"]["DefinitionBody"])


def linted(region: str, *templates: Path, ignored: str = "") -> str:
    """Return the problems that cfn-lint finds."""
    linter = [sys.executable, "-c", "import sys; from cfnlint.runner import main; sys.exit(main())"]
    options = ["--regions", region, *(["--ignore-checks", ignored] if ignored else [])]
    done = subprocess.run([*linter, *options, "--", *templates], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("region", REGIONS)
def test_the_templates_are_valid_cloudformation_in_a_commercial_and_a_chinese_region(
    packaged: Path, region: str
) -> None:
    assert linted(region, packaged, PROJECT / "infra" / "artifacts.yaml") == ""


@pytest.mark.parametrize("region", REGIONS)
def test_the_expanded_template_is_valid_with_every_switch_on(packaged: Path, tmp_path: Path, region: str) -> None:
    file = tmp_path / "expanded.json"

    file.write_text(json.dumps(expanded(packaged, region, **ALL_ON)))

    assert linted(region, file, ignored="W2001,W7001") == ""  # parameters that only the expansion reads


@pytest.mark.parametrize(("region", "partition"), [("us-east-1", "aws"), ("cn-north-1", "aws-cn")])
def test_every_arn_is_in_the_partition_of_its_region(packaged: Path, region: str, partition: str) -> None:
    text = json.dumps(expanded(packaged, region, **ALL_ON))

    assert set(re.findall(r"arn:(aws[a-z-]*|\$\{AWS::Partition\}):", text)) == {partition, "${AWS::Partition}"}


def test_each_function_runs_the_right_python_on_the_right_processor(resources: dict[str, dict[str, Any]]) -> None:
    functions = {name: properties for name, properties in resources.items() if "Handler" in properties}

    assert set(functions) == set(VARIABLES) == set(ENOUGH)
    for function in functions.values():
        assert function["Runtime"] == f"python{sys.version_info.major}.{sys.version_info.minor}"
        assert function["Architectures"] == ["arm64"]
        assert re.fullmatch(r"app\.\w+", function["Handler"])  # Chalice handles only functions of app.py
        assert function["MemorySize"] >= 512
        assert function["LoggingConfig"]["LogFormat"] == "JSON"
        assert function["LoggingConfig"]["SystemLogLevel"] == "WARN"  # Lambda's own lines cost more than all others


def test_the_gateway_outlives_its_functions(resources: dict[str, dict[str, Any]]) -> None:
    assert resources["APIHandler"]["Timeout"] <= 29
    assert resources["Authorizer"]["Timeout"] <= 29
    assert resources["SweepExpired"]["Timeout"] <= 60


# Versions: callers use the alias `live`, which a deployment moves


def integrations(api: dict[str, Any]) -> Iterator[Any]:
    """Return the addresses of the functions that the API calls."""
    for methods in api["paths"].values():
        for operation in methods.values():
            if "uri" in operation["x-amazon-apigateway-integration"]:
                yield operation["x-amazon-apigateway-integration"]["uri"]
    yield api["securityDefinitions"]["authorizer"]["x-amazon-apigateway-authorizer"]["authorizerUri"]


def test_every_caller_of_a_function_calls_the_alias_that_a_deployment_moves(packaged: Path) -> None:
    resources = expanded(packaged, "us-east-1")["Resources"]
    addresses = [uri["Fn::Sub"] for uri in integrations(resources["RestAPI"]["Properties"]["Body"])]
    called = {values["Alias"]["Ref"] for _, values in addresses}
    streams = [each["Properties"] for each in resources.values() if each["Type"] == "AWS::Lambda::EventSourceMapping"]
    (sweep,) = [each["Properties"] for each in resources.values() if each["Type"] == "AWS::Events::Rule"]

    assert len(addresses) == len(ROUTES) + 1
    assert {text.partition("/functions/")[2] for text, _ in addresses} == {"${Alias}/invocations"}
    assert called == {"APIHandlerAliaslive", "AuthorizerAliaslive"}
    for name in ("APIHandler", "Authorizer"):
        permission = resources[f"{name}InvokePermission"]["Properties"]
        assert permission["FunctionName"] == {"Ref": f"{name}Aliaslive"}
    assert {each["FunctionName"]["Ref"] for each in streams} == {"PublishEventsAliaslive", "IndexNamesAliaslive"}
    assert sweep["Targets"][0]["Arn"] == {"Ref": "SweepExpiredAliaslive"}


def test_another_digest_publishes_another_version_of_each_function(packaged: Path, tmp_path: Path) -> None:
    def versions(digest: str) -> set[str]:
        file = tmp_path / "versioned.yaml"
        file.write_text(yaml.safe_dump(publish_version(yaml.safe_load(packaged.read_text()), digest)))
        resources = expanded(file, "us-east-1")["Resources"]
        found = {name: each for name, each in resources.items() if each["Type"] == "AWS::Lambda::Version"}
        assert {each["DeletionPolicy"] for each in found.values()} == {"Retain"}  # a rollback needs the one before
        return set(found)

    first, again, other = versions("0123456789abc"), versions("0123456789abc"), versions("ba9876543210")

    assert first == again
    assert len(first) == len(other) == len(VARIABLES) and not first & other


def test_a_canary_moves_the_traffic_in_ten_minutes_and_the_error_rate_rolls_it_back(packaged: Path) -> None:
    resources = expanded(packaged, "us-east-1", Canary="on")["Resources"]

    for function in ("APIHandler", "Authorizer"):
        group = resources[f"{function}DeploymentGroup"]["Properties"]
        policy = resources[f"{function}Aliaslive"]["UpdatePolicy"]["CodeDeployLambdaAliasUpdate"]
        condition, alarms, _ = group["AlarmConfiguration"]["Fn::If"]

        assert policy["DeploymentGroupName"] == {"Ref": f"{function}DeploymentGroup"}
        assert group["DeploymentConfigName"]["Fn::Sub"][1] == {"ConfigName": "Linear10PercentEvery1Minute"}
        assert (condition, alarms) == ("OnAws", {"Enabled": True, "Alarms": [{"Name": {"Ref": "ServerErrors"}}]})
        assert "DEPLOYMENT_STOP_ON_ALARM" in group["AutoRollbackConfiguration"]["Events"]
    _, errors, _ = resources["ServerErrors"]["Properties"]["Metrics"]
    stage = errors["MetricStat"]["Metric"]["Dimensions"][1]["Value"]
    assert stage == resources["RestAPIapiStage"]["Properties"]["StageName"]  # by name: the stage depends on the canary


def test_without_a_canary_the_traffic_moves_at_once(packaged: Path) -> None:
    resources = expanded(packaged, "us-east-1")["Resources"]

    assert [each for each in resources.values() if each["Type"].startswith("AWS::CodeDeploy")] == []
    assert "UpdatePolicy" not in resources["APIHandlerAliaslive"]


def test_snapshots_and_traces_are_off_in_china_and_unless_switched_on(template: dict[str, Any]) -> None:
    conditions, resources = template["Conditions"], template["Resources"]
    outside_china = {"Fn::Not": [{"Fn::Equals": [{"Ref": "AWS::Partition"}, "aws-cn"]}]}

    for condition, switch in (("SnapStarted", "SnapStart"), ("Traced", "Tracing")):
        assert conditions[condition] == {"Fn::And": [{"Fn::Equals": [{"Ref": switch}, "on"]}, outside_china]}
        assert template["Parameters"][switch]["Default"] == "off"
    for function in ("APIHandler", "Authorizer"):
        applied = resources[function]["Properties"]["SnapStart"]["ApplyOn"]
        assert applied == {"Fn::If": ["SnapStarted", "PublishedVersions", "None"]}


@pytest.mark.parametrize("name", ["WebAclOfTheApi", "Domain", "DomainOfTheApi"])
def test_a_web_acl_and_a_domain_name_are_optional(template: dict[str, Any], name: str) -> None:
    condition = template["Resources"][name]["Condition"]
    parameter = {"HasWebAcl": "WebAcl", "HasDomain": "DomainName"}[condition]

    assert template["Conditions"][condition] == {"Fn::Not": [{"Fn::Equals": [{"Ref": parameter}, ""]}]}
    assert template["Parameters"][parameter]["Default"] == ""


# Who may do what


def statements(resources: dict[str, dict[str, Any]], function: str) -> Iterator[dict[str, Any]]:
    role = resources[function]["Role"]["Fn::GetAtt"][0]
    for policy in resources[role]["Policies"]:
        yield from policy["PolicyDocument"]["Statement"]


@pytest.mark.parametrize("function", ENOUGH)
def test_each_function_has_only_the_permissions_it_uses(resources: dict[str, dict[str, Any]], function: str) -> None:
    allowed = {action for each in statements(resources, function) for action in each["Action"]}

    assert {action.partition(":")[2] for action in allowed if action.startswith("dynamodb:")} == ENOUGH[function]
    assert {action for action in allowed if not action.startswith("dynamodb:")} == LOGGING | BESIDE.get(function, set())


@pytest.mark.parametrize("function", ENOUGH)
def test_no_iam_policy_has_a_wildcard_except_for_parts_of_the_table(
    resources: dict[str, dict[str, Any]], function: str
) -> None:
    for each in statements(resources, function):
        assert each["Effect"] == "Allow"
        assert isinstance(each["Action"], list) and not any("*" in action for action in each["Action"])
        assert "*" not in json.dumps(each["Resource"]) or each["Resource"] in PARTS_OF_THE_TABLE


@pytest.mark.parametrize("function", VARIABLES)
def test_each_function_has_only_the_settings_it_reads(resources: dict[str, dict[str, Any]], function: str) -> None:
    assert set(resources[function]["Environment"]["Variables"]) == VARIABLES[function]


def test_every_parameter_can_be_given_to_make_deploy(template: dict[str, Any]) -> None:
    assert set(template["Parameters"]) == {"Stage", "Commit", *SETTINGS}


def test_the_runbook_lists_every_setting_in_one_table() -> None:
    page = (PROJECT / "docs" / "operations.md").read_text()
    _, _, section = page.partition("\n### Settings\n")
    table, _, _ = section.partition("\n#")

    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(SETTINGS.values())


def test_every_stage_has_its_values(template: dict[str, Any]) -> None:
    stages = template["Mappings"]["Stages"]

    assert set(stages) == set(template["Parameters"]["Stage"]["AllowedValues"]) == set(STAGES)
    assert {frozenset(values) for values in stages.values()} == {frozenset({"Rate", "Burst", "LogDays"})}


# The gateway


def test_every_route_except_public_ones_uses_the_authorizer(api: dict[str, Any]) -> None:
    methods = {
        (method.upper(), path): operation
        for path, methods in api["paths"].items()
        for method, operation in methods.items()
        if method != "options"
    }

    assert set(methods) == {(route.method, route.path) for route in ROUTES}
    for address, operation in methods.items():
        assert operation.get("security") == (None if address in PUBLIC else [{"authorizer": []}]), address


def test_every_route_answers_a_preflight(api: dict[str, Any]) -> None:
    for path, methods in api["paths"].items():
        parameters = methods["options"]["x-amazon-apigateway-integration"]["responses"]["default"]["responseParameters"]
        assert parameters["method.response.header.Access-Control-Allow-Origin"] == "'*'", path
        assert "security" not in methods["options"]


@pytest.mark.parametrize("kind", REASONS)
def test_responses_of_the_gateway_are_problems_with_cors(api: dict[str, Any], kind: str) -> None:
    response, reason = api["x-amazon-apigateway-gateway-responses"][kind], REASONS[kind]
    problem = problems.gateway_response(reason, None)
    headers = {name: f"'{value}'" for name, value in (cors.get_access_control_headers() | problem.headers).items()}
    headers["X-Request-Id"] = "context.requestId"
    body = response["responseTemplates"]["application/json"]

    assert response["statusCode"] == str(problem.status_code) == str(CATALOG[reason].status)
    assert response["responseParameters"] == {f"gatewayresponse.header.{name}": headers[name] for name in headers}
    assert headers["Access-Control-Allow-Origin"] == "'*'"
    assert headers["Content-Type"] == "'application/problem+json'"
    assert ("Retry-After" in headers) == (CATALOG[reason].retry_after is not None)
    assert json.loads(body) == json.loads(problem.body)
    assert (json.loads(body)["code"], json.loads(body)["title"]) == (Refusal(reason).code, CATALOG[reason].en)
    assert "$" not in body and "#" not in body  # API Gateway would evaluate them


def test_the_gateway_responses_include_401_403_404_and_429(api: dict[str, Any]) -> None:
    responses = api["x-amazon-apigateway-gateway-responses"]

    assert set(responses) == set(REASONS)
    assert {401, 403, 404, 429} <= {int(each["statusCode"]) for each in responses.values()}


def test_the_gateway_limits_its_callers_and_anonymous_ones_more(resources: dict[str, dict[str, Any]]) -> None:
    every, *anonymous = resources["RestAPI"]["MethodSettings"]

    assert (every["ResourcePath"], every["HttpMethod"]) == ("/*", "*")
    assert 0 < every["ThrottlingRateLimit"] <= every["ThrottlingBurstLimit"]
    paths = {(each["HttpMethod"], "/" + each["ResourcePath"][1:].replace("~1", "/").lstrip("/")) for each in anonymous}
    assert paths == PUBLIC
    assert all(each["ThrottlingRateLimit"] * 20 <= every["ThrottlingRateLimit"] for each in anonymous)


def test_rejected_tokens_take_no_concurrency_from_claims(template: dict[str, Any]) -> None:
    api, authorizer = (
        template["Resources"][name]["Properties"]["ReservedConcurrentExecutions"]
        for name in ("APIHandler", "Authorizer")
    )

    assert (api["Fn::If"][0], authorizer["Fn::If"][0]) == ("Reserved", "Reserved")
    assert api["Fn::If"][1] > authorizer["Fn::If"][1] > 0


def test_every_request_has_a_line_in_the_access_log_without_personal_data(
    resources: dict[str, dict[str, Any]],
) -> None:
    setting = resources["RestAPI"]["AccessLogSetting"]

    line = json.loads(setting["Format"])

    assert setting["DestinationArn"] == {"Fn::GetAtt": ["AccessLogs", "Arn"]}
    assert {"request_id", "route", "status", "error", "authorizer_request_id"} <= line.keys()
    assert not {"$context.path", "$context.identity.sourceIp", "$context.authorizer.principalId"} & {*line.values()}


def test_the_gateway_compresses_responses_from_one_kilobyte(resources: dict[str, dict[str, Any]]) -> None:
    assert resources["RestAPI"]["MinimumCompressionSize"] == MINIMUM_BYTES == 1024


# What must not be lost


def test_the_table_is_the_one_that_local_runs_use_and_is_kept(template: dict[str, Any]) -> None:
    table = template["Resources"]["Table"]
    properties = table["Properties"]

    assert (table["DeletionPolicy"], table["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    assert properties["DeletionProtectionEnabled"] is True
    declared = SCHEMA | {"StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"}}
    assert {name: properties[name] for name in SCHEMA} == json.loads(json.dumps(declared))
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}
    assert properties["TimeToLiveSpecification"] == {"AttributeName": "ttl", "Enabled": True}


def test_every_resource_that_keeps_data_is_protected_from_deployments(template: dict[str, Any]) -> None:
    kept = {each["Type"] for each in template["Resources"].values() if "Retain" in each.get("UpdateReplacePolicy", "")}

    access_of_the_account = {"AWS::IAM::Role", "AWS::ApiGateway::Account"}
    assert {"AWS::DynamoDB::Table", "AWS::SecretsManager::Secret", "AWS::Logs::LogGroup"} <= STATEFUL
    assert kept - access_of_the_account <= STATEFUL


def test_the_secret_of_the_digests_is_generated_and_kept(template: dict[str, Any]) -> None:
    secret = template["Resources"]["KeySecret"]
    variables = template["Resources"]["APIHandler"]["Properties"]["Environment"]["Variables"]

    assert (secret["DeletionPolicy"], secret["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    assert secret["Properties"]["GenerateSecretString"]["PasswordLength"] >= 32
    assert variables["KEY_SECRET"] == {"Fn::Sub": "{{resolve:secretsmanager:${KeySecret}}}"}


def test_the_sweep_runs_alone_and_its_failures_are_kept(resources: dict[str, dict[str, Any]]) -> None:
    sweep = resources["SweepExpired"]

    assert sweep["ReservedConcurrentExecutions"] == {"Fn::If": ["FannedOut", 1 + SCHEDULE_SHARDS, 1]}
    assert sweep["DeadLetterQueue"]["TargetArn"] == {"Fn::GetAtt": ["FailedSweeps", "Arn"]}
    assert sweep["EventInvokeConfig"] == {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 120}
    assert resources["FailedSweeps"] == resources["FailedEvents"] == resources["FailedNames"]
    assert resources["FailedSweeps"]["MessageRetentionPeriod"] == 14 * 24 * 3600
    assert [event["Properties"]["Schedule"] for event in sweep["Events"].values()] == ["rate(1 minute)"]


def test_the_sweep_may_invoke_itself_only_where_its_rounds_are_handed_over(template: dict[str, Any]) -> None:
    policy = template["Resources"]["FanOutPolicy"]

    (statement,) = policy["Properties"]["PolicyDocument"]["Statement"]

    assert (policy["Condition"], policy["Properties"]["Roles"]) == ("FannedOut", [{"Ref": "SweepExpiredRole"}])
    assert statement["Action"] == ["lambda:InvokeFunction"]
    assert statement["Resource"] == [
        {"Fn::GetAtt": ["SweepExpired", "Arn"]}, {"Fn::Sub": "${SweepExpired.Arn}:*"}
    ]  # fmt: skip
    assert template["Parameters"]["FanOut"]["Default"] == "off"


def test_the_stream_invokes_the_publisher_and_keeps_failed_records(
    resources: dict[str, dict[str, Any]],
) -> None:
    ((_, stream),) = resources["PublishEvents"]["Events"].items()
    source = stream["Properties"]

    assert source["Stream"] == {"Fn::GetAtt": ["Table", "StreamArn"]}
    assert source["StartingPosition"] == "TRIM_HORIZON"
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert source["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": ["FailedEvents", "Arn"]}
    assert source["MaximumRecordAgeInSeconds"] <= 24 * 3600 / 2


def test_only_writes_of_customers_invoke_the_publisher(resources: dict[str, dict[str, Any]]) -> None:
    ((_, stream),) = resources["PublishEvents"]["Events"].items()
    patterns = [json.loads(each["Pattern"]) for each in stream["Properties"]["FilterCriteria"]["Filters"]]

    assert patterns == [{"dynamodb": {"NewImage": {"tail": {kind: [{"exists": True}]}}}} for kind in "SB"]
    assert "tail" in items.customer_item(A_CUSTOMER)
    assert "tail" not in pool_items.member_item(A_MEMBER) | pool_items.pool_item(A_POOL) | items.fields_item(A_CUSTOMER)


def test_customers_that_are_there_or_gone_invoke_the_index_of_names(resources: dict[str, dict[str, Any]]) -> None:
    ((_, stream),) = resources["IndexNames"]["Events"].items()
    source = stream["Properties"]
    patterns = [json.loads(each["Pattern"]) for each in source["FilterCriteria"]["Filters"]]

    there = [{"dynamodb": {"NewImage": {"tail": {kind: [{"exists": True}]}}}} for kind in "SB"]
    gone = [{"eventName": ["REMOVE"], "dynamodb": {"OldImage": {"tail": {kind: [{"exists": True}]}}}} for kind in "SB"]
    assert patterns == there + gone
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert source["DestinationConfig"]["OnFailure"]["Destination"] == {"Fn::GetAtt": ["FailedNames", "Arn"]}


def test_every_function_has_a_log_with_a_retention(resources: dict[str, dict[str, Any]]) -> None:
    for function in VARIABLES:
        log = resources[function]["LoggingConfig"]["LogGroup"]["Ref"]
        assert resources[log]["RetentionInDays"] == 90


def alarms_of(template: dict[str, Any]) -> dict[str, dict[str, Any]]:
    of_type = "AWS::CloudWatch::Alarm"
    found = {name: each["Properties"] for name, each in template["Resources"].items() if each["Type"] == of_type}
    assert len(found) > 15
    return found


def test_each_alarm_names_its_section_of_the_runbook(template: dict[str, Any]) -> None:
    sections = anchors("docs/operations.md")

    for name, alarm in alarms_of(template).items():
        assert alarm["AlarmDescription"].endswith(f". See docs/operations.md#{name.lower()}"), name
        assert name.lower() in sections, f"docs/operations.md has no section {name}"


def test_each_alarm_goes_to_the_given_topic_or_to_that_of_the_stack(template: dict[str, Any]) -> None:
    topic = {"Fn::If": ["HasAlarmTopic", {"Ref": "AlarmTopic"}, {"Ref": "Alarms"}]}

    for alarm in alarms_of(template).values():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [topic]
    assert template["Resources"]["Alarms"]["Condition"] == "OwnAlarmTopic"


def test_errors_and_throttles_of_each_function_have_an_alarm(template: dict[str, Any]) -> None:
    watched = {
        (alarm["Dimensions"][0]["Value"]["Ref"], alarm["MetricName"])
        for alarm in alarms_of(template).values()
        if alarm.get("Namespace") == "AWS/Lambda" and alarm["MetricName"] in ("Errors", "Throttles")
    }

    others = VARIABLES.keys() - {"SweepExpired"}  # whose failed and throttled runs are in its queue
    assert watched == {(function, metric) for function in others for metric in ("Errors", "Throttles")}


def test_the_alarm_of_errors_is_a_rate_with_a_floor_of_requests(template: dict[str, Any]) -> None:
    rate, errors, requests = alarms_of(template)["ServerErrors"]["Metrics"]

    assert rate["Expression"] == "IF(requests >= 20, 100 * errors / requests, 0)"
    assert [each["MetricStat"]["Metric"]["MetricName"] for each in (errors, requests)] == ["5XXError", "Count"]
    assert [each["ReturnData"] for each in (rate, errors, requests)] == [True, False, False]


def test_alarms_watch_the_metrics_that_the_filters_of_logs_count(template: dict[str, Any]) -> None:
    filters = [
        each["Properties"] for each in template["Resources"].values() if each["Type"] == "AWS::Logs::MetricFilter"
    ]
    counted = {each["MetricTransformations"][0]["MetricName"]: each["LogGroupName"]["Ref"] for each in filters}

    watched = {alarm.get("MetricName") for alarm in alarms_of(template).values()}

    assert counted.keys() == {"error_lines", "status_429", "status_401"} and counted.keys() <= watched
    assert {each["LogGroupName"]["Ref"] for each in filters} == {f"{name}Logs" for name in (*VARIABLES, "Access")}
    own = resources_namespace(template)
    assert {json.dumps(each["MetricTransformations"][0]["MetricNamespace"]) for each in filters} == {json.dumps(own)}


def resources_namespace(template: dict[str, Any]) -> Any:
    return template["Resources"]["APIHandler"]["Properties"]["Environment"]["Variables"]["METRICS"]


# What a stage costs that nobody uses: USD a month in us-east-1, 2026, with what AWS always gives for free

ALARM, METRIC, SECRET, MINUTES = 0.10, 0.30, 0.40, 30.4 * 24 * 60
FREE_ALARMS, FREE_METRICS, FREE_DASHBOARD_METRICS = 10, 10, 50
SWEEP_S, SWEEP_LOG_BYTES, SWEEP_READ_UNITS = 0.15, 2_000, 10  # of one run without pools
GB_SECOND, INVOCATION, LOG_GB, READ_UNIT = 0.0000133334, 0.0000002, 0.50, 0.125e-6


def idle_costs(template: dict[str, Any], *, free: bool) -> float:
    resources, alarms = template["Resources"], alarms_of(template)
    watched = sum(
        len([each for each in alarm.get("Metrics", [1]) if "Expression" not in str(each)]) for alarm in alarms.values()
    )
    published = len(emf_record("ns", "sweep", 0, SweepResult().numbers())["_aws"]["CloudWatchMetrics"][0]["Metrics"])
    sweep = MINUTES * (
        SWEEP_S * resources["SweepExpired"]["Properties"]["MemorySize"] / 1024 * GB_SECOND
        + INVOCATION + SWEEP_LOG_BYTES / 1e9 * LOG_GB + SWEEP_READ_UNITS * READ_UNIT
    )  # fmt: skip
    paid_alarms: float = max(watched - FREE_ALARMS * free, 0) * ALARM
    return float(paid_alarms + max(published - FREE_METRICS * free, 0) * METRIC + SECRET + sweep)


def test_an_idle_stage_costs_less_than_two_dollars_a_month(template: dict[str, Any]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()

    first, second = idle_costs(template, free=True), idle_costs(template, free=False)

    assert first < 2
    assert f"costs about {first:.2f} USD a month" in page and f"costs {second:.2f} USD" in page, (first, second)


def test_the_alarm_of_a_late_sweep_watches_what_the_sweep_logs(resources: dict[str, dict[str, Any]]) -> None:
    alarm, settings = resources["LateSweep"], resources["SweepExpired"]["Environment"]["Variables"]
    (directive,) = emf_record("ns", "sweep", 0, SweepResult().numbers())["_aws"]["CloudWatchMetrics"]

    assert alarm["Namespace"] == settings["METRICS"]
    assert [each["Name"] for each in alarm["Dimensions"]] == directive["Dimensions"][0]
    assert {"Name": alarm["MetricName"], "Unit": "Seconds"} in directive["Metrics"]


def test_the_alarm_of_malformed_records_fires_after_a_failed_sweep(
    resources: dict[str, dict[str, Any]],
) -> None:
    alarm, settings = resources["MalformedRecords"], resources["SweepExpired"]["Environment"]["Variables"]
    line = emf_record("ns", "sweep", 0, SweepResult(failed=1).numbers())
    (directive,) = line["_aws"]["CloudWatchMetrics"]

    assert alarm["Namespace"] == settings["METRICS"]
    assert [each["Name"] for each in alarm["Dimensions"]] == directive["Dimensions"][0]
    assert {"Name": alarm["MetricName"], "Unit": "Count"} in directive["Metrics"]
    assert line[alarm["MetricName"]] > alarm["Threshold"] == 0
    assert (alarm["ComparisonOperator"], alarm["EvaluationPeriods"]) == ("GreaterThanThreshold", 1)


def test_the_dashboard_shows_at_most_fifty_metrics_and_every_count_of_the_logs(
    resources: dict[str, dict[str, Any]],
) -> None:
    widgets = json.loads(resources["Dashboard"]["DashboardBody"]["Fn::Sub"])["widgets"]
    metrics = [metric for each in widgets for metric in spelled_out(each["properties"].get("metrics", []))]
    queries = " ".join(each["properties"].get("query", "") for each in widgets)

    assert 10 < len(metrics) <= FREE_DASHBOARD_METRICS
    for count in (*SweepResult.COUNTS, "published", "rejected", "malformed"):
        assert f"({count})" in queries
    assert "by status, code" in queries


def spelled_out(metrics: list[list[Any]]) -> Iterator[list[Any]]:
    """Replace each dot with the value of the previous metric, as CloudWatch does."""
    previous: list[Any] = []
    for metric in metrics:
        previous = [previous[index] if value == "." else value for index, value in enumerate(metric)]
        yield previous
