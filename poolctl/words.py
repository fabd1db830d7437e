"""Every message of poolctl in English and Chinese. Accept-Language requests the same language from the service.

Each row has a key, the English and the Chinese text; both use the same values. Help texts are in `help_words`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from poolctl.help_words import HELP


class Message(NamedTuple):
    en: str
    zh: str


LANGUAGES: Final = ("zh", "en")
_ROWS: Final = {
    # how a command fails
    "not_signed_in": (
        "You are not signed in to {url}. Run `poolctl login` first.",
        "您尚未登录 {url}，请先运行 `poolctl login`。",
    ),
    "session_expired": (
        "Your session at {url} expired at {at}. Sign in again with `poolctl login`.",
        "您在 {url} 的登录已于 {at} 过期，请运行 `poolctl login` 重新登录。",
    ),
    "token_refused": (
        "{url} did not accept the token. Sign in again with `poolctl login`.",
        "{url} 未接受该令牌，请运行 `poolctl login` 重新登录。",
    ),
    "environment_refused": (
        "{url} did not accept the token in POOLCTL_TOKEN; it may have expired. Replace it, or unset it and run "
        "`poolctl login`.",
        "{url} 未接受环境变量 POOLCTL_TOKEN 中的令牌，可能已过期。请更换令牌，或取消该变量后运行 `poolctl login`。",
    ),
    "no_token": (
        "Not a valid token: expected a JWT (three dot-separated parts).",
        "令牌无效：应为 JWT，由三段以点号分隔的内容组成。",
    ),
    "no_url": (
        "Not a valid address: {url}. Expected something like https://pool.example.com.",
        "地址无效：{url}。正确格式例如 https://pool.example.com。",
    ),
    "no_id": (
        "Not a valid id: {id}. Expected 1 to 64 letters, digits, - or _.",
        "编号无效：{id}。应为 1 至 64 个字母、数字、- 或 _。",
    ),
    "no_reference": (
        "Not a valid customer: {id}. Expected ID or POOL/ID; ids have 1 to 64 letters, digits, - or _.",
        "客户编号无效：{id}。应为“编号”或“公海/编号”，编号由 1 至 64 个字母、数字、- 或 _ 组成。",
    ),
    "another_pool": (
        "Customer {id} is not in pool {pool}, which --pool names. Leave out --pool to use several pools.",
        "客户 {id} 不属于 --pool 指定的公海 {pool}。如需同时处理多个公海，请去掉 --pool。",
    ),
    "unreachable": (
        "No response from {url}. Check that the service is running and that the address is correct.",
        "{url} 没有响应，请确认服务已启动且地址正确。",
    ),
    "untrusted": (
        "The certificate of {url} cannot be verified.",
        "无法验证 {url} 的证书。",
    ),
    "not_our_service": (
        "{url} answered (HTTP {answer}), but it is not a customer pool service. Check the address.",
        "{url} 有响应（HTTP {answer}），但不是公海客户服务，请检查地址。",
    ),
    "service_failing": (
        "The service cannot process the request now; try again shortly: {detail} ({code})",
        "服务暂时无法处理该请求，请稍后重试：{detail}（{code}）",
    ),
    "refused": ("Refused: {detail} ({code})", "操作被拒绝：{detail}（{code}）"),
    "not_found": (
        "{detail} Run `poolctl pools` to list your pools. ({code})",
        "{detail}运行 `poolctl pools` 可查看您的公海。（{code}）",
    ),
    "as_told": ("{text}", "{text}"),
    "say_which_pool": (
        "You have several pools. Choose one with --pool: {pools}",
        "您有多个公海，请用 --pool 指定其一：{pools}",
    ),
    "say_which_pools": (
        "You have several pools. Choose one with --pool, or name customers as POOL/ID: {pools}",
        "您有多个公海，请用 --pool 指定其一，或以“公海/编号”的形式指定客户：{pools}",
    ),
    "no_pool": (
        "You are not a member of any pool at {url}. A pool manager can add you.",
        "您在 {url} 尚未加入任何公海，请联系公海管理员添加。",
    ),
    "ids_or_next": (
        "Name the customers to claim, or use --next N; not both.",
        "请指定要领取的客户编号，或使用 --next N，二者选其一。",
    ),
    "next_is_whole": ("--atomic does not apply to --next.", "--atomic 不适用于 --next。"),
    "too_many_at_once": (
        "--atomic accepts at most {most} customers, but {count} were named.",
        "--atomic 一次最多处理 {most} 个客户，当前为 {count} 个。",
    ),
    "atomic_in_one_pool": (
        "--atomic works within one pool, but the customers are in several: {pools}",
        "--atomic 仅适用于同一公海，而所列客户分属多个公海：{pools}",
    ),
    "only_local": ("--roles and --tenant require --local USER.", "--roles 与 --tenant 须与 --local USER 同时使用。"),
    "only_set": (
        "--apply-to, --if-match and --dry-run require --set RULE=VALUE.",
        "--apply-to、--if-match 与 --dry-run 须与 --set 规则=值 同时使用。",
    ),
    "only_pool": ("--mine shows many customers; do not name one.", "--mine 用于查看多个客户，请勿再指定客户编号。"),
    "stopped": ("Stopped.", "已停止。"),
    "disk_full": ("No space left to write {file}.", "磁盘空间不足，无法写入 {file}。"),
    "file": ("Cannot use {file}: {why}.", "无法使用 {file}：{why}。"),
    "file.ENOENT": ("no such file or folder", "文件或文件夹不存在"),
    "file.EACCES": ("permission denied", "没有权限"),
    "file.EISDIR": ("it is a folder", "这是一个文件夹"),
    "file.ENOTDIR": ("a part of the path is not a folder", "路径中有一部分不是文件夹"),
    "file.ENAMETOOLONG": ("the name is too long", "名称过长"),
    "file.EROFS": ("the file system is read-only", "文件系统为只读"),
    "output": ("the output", "输出"),
    "defect": (
        "poolctl failed unexpectedly ({kind}). Set POOLCTL_DEBUG=1 to see where, and please report it.",
        "poolctl 发生内部错误（{kind}）。设置 POOLCTL_DEBUG=1 可查看出错位置，请反馈给我们。",
    ),
    # usage errors
    "usage": ("{error} See `{command} --help`.", "{error}参见 `{command} --help`。"),
    "usage.no_command": ("Missing command.", "缺少命令。"),
    "usage.unknown_command": ("Unknown command: {name}.", "未知命令：{name}。"),
    "usage.unknown_option": ("Unknown option: {name}.", "未知选项：{name}。"),
    "usage.similar": (" Did you mean {names}?", "您是否要用 {names}？"),
    "usage.missing": ("Missing {name}.", "缺少 {name}。"),
    "usage.needs_value": ("Option {name} requires a value.", "选项 {name} 需要一个值。"),
    "usage.takes_no_value": ("Option {name} does not take a value.", "选项 {name} 不接受值。"),
    "usage.unexpected": ("Unexpected argument: {name}.", "多余的参数：{name}。"),
    "usage.value": ("Invalid value for {name}: {why}", "{name} 的值无效：{why}"),
    "usage.choice": ("expected one of {choices}.", "应为 {choices} 之一。"),
    "usage.id": ("expected 1 to 64 letters, digits, - or _.", "应为 1 至 64 个字母、数字、- 或 _。"),
    "usage.number": ("expected a whole number.", "应为整数。"),
    "usage.number_from": ("expected a whole number of at least {least}.", "应为不小于 {least} 的整数。"),
    "usage.number_between": ("expected a whole number from {least} to {most}.", "应为 {least} 至 {most} 的整数。"),
    "usage.seconds": ("expected {least} to {most} seconds.", "应为 {least} 至 {most} 秒。"),
    # files to import
    "empty_file": ("{file} is empty.", "{file} 是空文件。"),
    "no_encoding": (
        "The encoding of {file} is not UTF-8, UTF-16 or GB18030. Save it as CSV UTF-8 or XLSX, or name its encoding "
        "with --encoding.",
        "{file} 的编码不是 UTF-8、UTF-16 或 GB18030。请另存为 CSV UTF-8 或 XLSX，或用 --encoding 指定编码。",
    ),
    "not_that_encoding": ("{file} is not encoded in {encoding}.", "{file} 的编码不是 {encoding}。"),
    "unknown_encoding": (
        "unknown encoding {encoding}; expected something like cp1252.",
        "未知编码 {encoding}，正确示例如 cp1252。",
    ),
    "read_as": ("Read as {encoding}.", "读取方式：{encoding}"),
    "workbook": ("a workbook", "工作簿"),
    "open_quote": (
        "{file}, line {line}: a quotation mark is opened and never closed.",
        "{file} 第 {line} 行：引号没有闭合。",
    ),
    "stray_quote": (
        "{file}, line {line}: text follows the closing quotation mark of a cell.",
        "{file} 第 {line} 行：单元格的右引号之后还有内容。",
    ),
    "broken_line": ("{file}, line {line}: {why}.", "{file} 第 {line} 行：{why}。"),
    "broken_workbook": ("{file} cannot be read as a workbook: {why}.", "无法将 {file} 作为工作簿读取：{why}。"),
    "no_sheet": ("{file} has no sheet named {sheet}.", "{file} 中没有工作表 {sheet}。"),
    "no_mapping": (
        "Invalid value for --map: {value}. Expected HEADING=FIELD, for example Client=name.",
        "--map 的值无效：{value}。应为 列名=字段，例如 客户简称=name。",
    ),
    "no_column": (
        "No column is named {column}. The columns are: {headings}",
        "没有名为 {column} 的列。现有列：{headings}",
    ),
    "no_name_column": (
        "No column contains the name. Rename one to `name`, or use --map HEADING=name. The columns are: {headings}",
        "没有客户名称列。请将列名改为“客户名称”，或使用 --map 列名=name。现有列：{headings}",
    ),
    "no_key_column": ("No column contains the {key}.", "没有 {key} 列。"),
    "column_twice": (
        "Two columns map to {column}. Rename one of them.",
        "有两列都对应 {column}，请修改其中一列的列名。",
    ),
    # invalid lines
    "too_many_cells": ("There are more cells than the {count} headings.", "单元格数多于列名数（{count}）。"),
    "digits_lost": (
        "{cell}: Excel shortened this number and its last digits are lost. Format the column as text and enter it "
        "again.",
        "{cell}：该号码已被 Excel 缩写，末尾数字丢失。请将该列设为文本格式后重新填写。",
    ),
    "no_name": ("The name is missing.", "缺少客户名称。"),
    "name_too_long": ("The name has more than {most} characters.", "客户名称超过 {most} 个字符。"),
    "no_phone": ("{phone} is not a phone number.", "{phone} 不是电话号码。"),
    "no_key": ("The {key} is missing.", "缺少 {key}。"),
    "no_priority": (
        "Priority {priority} is not valid: expected a whole number.",
        "优先级 {priority} 无效：应为整数。",
    ),
    # progress of an import
    "import_under_way": ("Another poolctl is importing this file.", "另一个 poolctl 正在导入该文件。"),
    "finishing": (
        "Stopping after the current request. Press Ctrl-C again to stop at once.",
        "当前请求完成后停止；再次按 Ctrl-C 立即停止。",
    ),
    "import_cut": (
        "{why} {done} of {total} rows are done; run the same command again to continue.",
        "{why}已完成 {done}/{total} 行，再次运行相同命令即可继续。",
    ),
    "imported": ("{ok} of {rows} rows imported.", "已导入 {ok}/{rows} 行。"),
    "imported_before": (
        "This file was already imported. Use --again to import it again.",
        "该文件此前已导入。如需重新导入，请使用 --again。",
    ),
    "again_or_undo": (
        "Use either --again (import the file again) or --undo (undo its import).",
        "--again（重新导入）与 --undo（撤销导入）不能同时使用。",
    ),
    "never_imported": (
        "There is no record here of importing this file into {pool} with these options.",
        "此处没有以这些选项将该文件导入 {pool} 的记录。",
    ),
    "undone": (
        "{undone} customers are as before the import; {stayed} were changed since and stay as they are.",
        "{undone} 个客户已恢复为导入前的状态；{stayed} 个此后有变动，保持现状。",
    ),
    "would_undo": (
        "{rows} rows would be undone, except customers changed since. Nothing was sent.",
        "将撤销 {rows} 行，此后有变动的客户除外。未发送任何内容。",
    ),
    "mend": (
        "{failed} rows were refused. Correct them in {file}, then import that file.",
        "{failed} 行被拒绝，请在 {file} 中修正后导入该文件。",
    ),
    "would_import": (
        "{rows} rows would be imported by {key}; {failed} would be refused. Nothing was sent.",
        "将按 {key} 导入 {rows} 行，{failed} 行会被拒绝。未发送任何内容。",
    ),
    "at_line": ("Line {line}: {text}", "第 {line} 行：{text}"),
    "left_out": ("(not imported)", "（不导入）"),
    "rows_a_second": ("{rate} rows/s", "{rate} 行/秒"),
    # exporting
    "no_kind": (
        "Cannot export to {file}: expected a .csv or .xlsx file, or - for standard output.",
        "无法导出到 {file}：应为 .csv 或 .xlsx 文件，或用 - 表示标准输出。",
    ),
    "file_exists": ("{file} already exists. Use --force to overwrite it.", "{file} 已存在，使用 --force 可覆盖。"),
    "too_long_for_a_sheet": (
        "A worksheet holds at most {most} customers. Export to .csv instead.",
        "一张工作表最多容纳 {most} 个客户，请改为导出 .csv。",
    ),
    "exported": ("{count} customers exported to {file}.", "已将 {count} 个客户导出到 {file}。"),
    # a pool's rules
    "no_rule": (
        "Invalid value for --set: {value}. Expected RULE=VALUE, for example holding_limit=5.",
        "--set 的值无效：{value}。应为 规则=值，例如 holding_limit=5。",
    ),
    "off": ("off", "关闭"),
    "hidden": ("hidden", "已隐藏"),
    "pool_is": ("{name}: {status}, version {version}", "{name}：{status}，版本 {version}"),
    "rules": ("In force. The pool is at version {version}.", "已生效，公海版本为 {version}。"),
    "would_rule": (
        "Nothing was changed (dry run). The pool is at version {version}.",
        "仅试算，未做修改。公海版本为 {version}。",
    ),
    "affected": ("Deadlines moved: {count}.", "变动的到期时间：{count} 个。"),
    "read_again": (
        "Somebody else changed the pool; it was read again, at version {version}.",
        "公海已被他人修改，已重新读取，版本为 {version}。",
    ),
    "another_version": ("The pool is at version {now}, not {expected}.", "公海版本为 {now}，而非 {expected}。"),
    "rules_moved": (
        "Somebody else just changed the same rules. Check them first: {rules}",
        "相同的规则刚被他人修改，请先确认：{rules}",
    ),
    "rules_unsettled": (
        "The pool is being changed by others at this moment; try again.",
        "公海正被他人频繁修改，请稍后重试。",
    ),
    # sweep and audit
    "sweep.due": ("due", "到期"),
    "sweep.returned": ("returned", "已回收"),
    "sweep.changed": ("changed meanwhile", "期间有变动"),
    "sweep.failed": ("failed", "失败"),
    "sweep.remaining": ("remaining", "剩余"),
    "sweep.reminded": ("reminded", "已提醒"),
    "sweep.lag_s": ("lag, seconds", "延迟（秒）"),
    "unconfirmed": (
        "Pool {pool}: a large share is due. Use --confirm to return it.",
        "公海 {pool} 到期比例过高，须使用 --confirm 确认后回收。",
    ),
    "audited": (
        "{customers} customers and {members} members audited.",
        "已核对 {customers} 个客户、{members} 名成员。",
    ),
    "drift": (
        "{kind} of {pool}/{id}: expected {expected}, found {found}.",
        "{pool}/{id} 的 {kind}：应为 {expected}，实为 {found}。",
    ),
    "drift_repaired": (
        "{kind} of {pool}/{id}: expected {expected}, found {found}; repaired.",
        "{pool}/{id} 的 {kind}：应为 {expected}，实为 {found}，已修复。",
    ),
    "and_more": ("{count} more are not shown.", "另有 {count} 项未列出。"),
    "unsettled": ("{what} kept changing and could not be checked.", "{what} 一直在变动，无法核对。"),
    "no_time": ("There was not enough time to check all of pool {pool}.", "时间不足，未能核对完公海 {pool}。"),
    "drifted": (
        "{count} differences found, {repaired} of them repaired.",
        "发现 {count} 处偏差，已修复 {repaired} 处。",
    ),
    # watching
    "away": ("{why} Still watching.", "{why}继续观察。"),
    # output
    "nothing": ("Nothing to show.", "没有可显示的内容。"),
    "again_at": ("Possible again at {at}.", "{at} 后可重试。"),
    "used_of": ("{used} of {limit} in use.", "已用 {used}，上限 {limit}。"),
    "headroom": ("{held} of {limit} customers held.", "已持有 {held} 个客户，上限 {limit} 个。"),
    "no_limit": ("{held} customers held; no limit.", "已持有 {held} 个客户，无上限。"),
    "not_done": (
        "Nothing was done: another customer of this atomic request was refused.",
        "未执行：同一批（--atomic）中有其他客户被拒绝。",
    ),
    "paste_token": ("Token", "令牌"),
    "signed_in": (
        "Signed in to {url} as {user} until {at}. The token is stored in {path}.",
        "已以 {user} 登录 {url}，有效期至 {at}。令牌保存于 {path}。",
    ),
    # columns and states
    "column.id": ("id", "编号"),
    "column.name": ("name", "名称"),
    "column.state": ("state", "状态"),
    "column.status": ("status", "状态"),
    "column.version": ("version", "版本"),
    "column.holder": ("holder", "负责人"),
    "column.expires_at": ("until", "到期时间"),
    "column.heading": ("heading", "列名"),
    "column.says": ("imported as", "导入为"),
    "column.first": ("first rows", "前几行"),
    "column.rule": ("rule", "规则"),
    "column.was": ("was", "原值"),
    "column.now": ("now", "现值"),
    "column.counted": ("claims", "领取"),
    "column.count": ("count", "数量"),
    "column.at": ("at", "时间"),
    "column.type": ("event", "事件"),
    "column.by": ("by", "操作人"),
    "column.reason": ("reason", "原因"),
    "column.outcome": ("outcome", "结果"),
    "state.available": ("available", "公海未分配"),
    "state.claimed": ("claimed", "公海已分配"),
    "state.private": ("private", "普通客户"),
}

WORDS: Final = {key: Message(*pair) for key, pair in (_ROWS | HELP).items()}
_language = "en"


def set_language(language: str) -> None:
    global _language  # noqa: PLW0603 - one language per process
    _language = language


def language() -> str:
    return _language


def message(key: str, /, **values: object) -> str:
    text: str = getattr(WORDS[key], _language)
    return text.format(**values) if values else text


def language_of(arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return the language of `--lang`, or else of the locale: `zh` for Chinese, `en` for all others."""
    wanted = next((environment[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(name)), "")
    options = before_dashes(arguments)
    for index, argument in enumerate(options):
        named = "".join(options[index + 1 : index + 2]) if argument == "--lang" else argument.removeprefix("--lang=")
        if argument.startswith("--lang") and named in LANGUAGES:
            wanted = named
    return "zh" if wanted.lower().startswith("zh") else "en"


def before_dashes(arguments: Sequence[str]) -> Sequence[str]:
    """Return the arguments before `--`, which may be options."""
    return arguments[: arguments.index("--")] if "--" in arguments else arguments
