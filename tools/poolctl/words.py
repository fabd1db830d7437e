"""Everything that poolctl says by itself, in English and Chinese. What the service says comes in the same language.

Each row has a key, the English and the Chinese; both name the same values. Help texts are in `help_words`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from tools.poolctl.help_words import HELP


class Said(NamedTuple):
    en: str
    zh: str


LANGUAGES: Final = ("zh", "en")
_ROWS: Final = {
    # how a command ends
    "not_signed_in": ("not signed in at {url}: `poolctl login` first", "尚未登录 {url}：请先运行 `poolctl login`"),
    "token_refused": (
        "{url} does not take this token, or it has run out: sign in again with `poolctl login`",
        "{url} 不接受该令牌，或令牌已过期：请用 `poolctl login` 重新登录",
    ),
    "no_token": (
        "that is no token: it has three parts with dots between them",
        "这不是令牌：令牌由三段组成，以点号分隔",
    ),
    "no_url": (
        "{url} is no address such as https://pool.example.com",
        "{url} 不是有效的地址，例如 https://pool.example.com",
    ),
    "no_id": (
        "{id} is no id: 1 to 64 letters, digits, - or _",
        "{id} 不是有效的编号：须为 1 至 64 个字母、数字、- 或 _",
    ),
    "unreachable": (
        "no service answers at {url}: is it running, and is the address right?",
        "{url} 没有服务响应：请确认服务已启动、地址无误",
    ),
    "not_our_service": (
        "what answers at {url} is not this service (HTTP {answer}): check the address",
        "{url} 上的响应不是本服务（HTTP {answer}）：请检查地址",
    ),
    "service_failing": (
        "the service cannot do it now, try again shortly: {detail} ({code})",
        "服务暂时无法处理，请稍后重试：{detail}（{code}）",
    ),
    "refused": ("refused: {detail} ({code})", "被拒绝：{detail}（{code}）"),
    "not_found": (
        "{detail} `poolctl pools` lists the pools that you see. ({code})",
        "{detail}用 `poolctl pools` 查看您可见的公海。（{code}）",
    ),
    "usage": ("{told} See `{command} --help`.", "{told} 参见 `{command} --help`。"),
    "as_told": ("{told}", "{told}"),
    "say_which_pool": ("say which pool with --pool: {pools}", "请用 --pool 指明公海：{pools}"),
    "ids_or_next": ("name customers, or say how many with --next", "请给出客户编号，或用 --next 指明数量"),
    "too_many_at_once": ("--atomic takes {most} customers at most", "--atomic 最多 {most} 个客户"),
    "stopped": ("stopped", "已停止"),
    "disk_full": ("no space left for {file}: make room and try again", "磁盘空间不足，无法写入 {file}：请清理后重试"),
    "file": ("file {file}: {why}", "文件 {file}：{why}"),
    "output": ("the output", "输出"),
    "defect": (
        "poolctl itself has failed ({kind}): POOLCTL_DEBUG=1 shows where, please report it",
        "poolctl 自身出错（{kind}）：设置 POOLCTL_DEBUG=1 可查看位置，请反馈",
    ),
    # files to import
    "empty_file": ("{file} is empty", "{file} 是空文件"),
    "no_encoding": (
        "{file} is neither UTF-8, UTF-16 nor GB18030: save it as CSV UTF-8 or XLSX",
        "{file} 不是 UTF-8、UTF-16 或 GB18030 编码：请另存为 CSV UTF-8 或 XLSX",
    ),
    "unknown_encoding": ("{encoding} is no encoding such as cp1252", "{encoding} 不是已知的编码，例如 cp1252"),
    "read_as": ("read as {encoding}", "读取方式：{encoding}"),
    "workbook": ("a workbook", "工作簿"),
    "open_quote": (
        "{file}, line {line}: a quotation mark is opened and never closed",
        "{file} 第 {line} 行：引号没有闭合",
    ),
    "stray_quote": (
        "{file}, line {line}: a quoted cell goes on after its closing quotation mark",
        "{file} 第 {line} 行：右引号之后还有内容",
    ),
    "broken_line": ("{file}, line {line}: {why}", "{file} 第 {line} 行：{why}"),
    "broken_workbook": ("{file} cannot be read as a workbook: {why}", "无法读取工作簿 {file}：{why}"),
    "no_sheet": ("{file} has no sheet {sheet}", "{file} 中没有工作表 {sheet}"),
    "no_mapping": (
        "--map {said}: write HEADING=FIELD, such as Client=name",
        "--map {said}：应写作 列名=字段，例如 客户简称=name",
    ),
    "no_column": ("no column is called {column}; there are: {headings}", "没有名为 {column} 的列；现有：{headings}"),
    "no_name_column": (
        "no column says the name: call it name, or use --map HEADING=name; there are: {headings}",
        "没有客户名称列：请将列名改为 客户名称，或使用 --map 列名=name；现有：{headings}",
    ),
    "no_key_column": ("no column says the {key}", "没有 {key} 列"),
    "column_twice": ("two columns say {column}: rename one of them", "有两列都是 {column}：请修改其中一列的列名"),
    # lines to import
    "too_many_cells": ("more cells than the {count} headings", "单元格数多于 {count} 个列名"),
    "digits_lost": (
        "{cell}: Excel has shortened this number, its last digits are lost; format the column as text, enter it again",
        "{cell}：Excel 已将该号码缩写，末尾数字已丢失；请将该列设为文本格式后重新填写",
    ),
    "no_name": ("the name is missing", "缺少客户名称"),
    "name_too_long": ("the name is longer than {most} characters", "客户名称超过 {most} 个字符"),
    "no_phone": ("{phone} is no phone number", "{phone} 不是电话号码"),
    "no_key": ("the {key} is missing", "缺少 {key}"),
    "no_priority": ("priority {priority}: a whole number is expected", "优先级 {priority}：应为整数"),
    # how an import goes
    "import_under_way": ("another poolctl is importing this file", "另一个 poolctl 正在导入该文件"),
    "finishing": (
        "stopping after the request under way; Ctrl-C again stops at once",
        "当前请求完成后停止；再次按 Ctrl-C 立即停止",
    ),
    "import_cut": (
        "{why}; {done} of {total} rows are done, the same command goes on from there",
        "{why}；已完成 {done}/{total} 行，再次运行相同命令即可继续",
    ),
    "imported": ("{ok} of {rows} rows imported", "已导入 {ok}/{rows} 行"),
    "imported_before": (
        "this file has been imported already; --again imports it anew",
        "该文件此前已导入；使用 --again 重新导入",
    ),
    "again_or_undo": (
        "--again imports the file anew and --undo takes it back: say one of them",
        "--again 为重新导入，--undo 为撤销导入：请只用其中之一",
    ),
    "never_imported": (
        "nothing of this file is known here to have been imported into {pool} in this way",
        "此处没有该文件以此方式导入 {pool} 的记录",
    ),
    "undone": (
        "{undone} customers are as before the import; {stayed} stay as they are now",
        "{undone} 个客户已恢复为导入前的状态；{stayed} 个保持现状",
    ),
    "would_undo": (
        "{rows} rows would be undone where nobody has touched the customer since; nothing was sent",
        "将撤销 {rows} 行，此后有人操作过的客户除外；未发送任何内容",
    ),
    "mend": (
        "{failed} refused: put them right in {file} and import that",
        "{failed} 行被拒绝：请在 {file} 中修正后导入该文件",
    ),
    "would_import": (
        "{rows} rows would be imported by their {key}, {failed} refused; nothing was sent",
        "将按 {key} 导入 {rows} 行，{failed} 行会被拒绝；未发送任何内容",
    ),
    "at_line": ("line {line}: {text}", "第 {line} 行：{text}"),
    "left_out": ("(left out)", "（不导入）"),
    "rows_a_second": ("{rate} rows/s", "{rate} 行/秒"),
    # exporting
    "no_kind": ("{file}: write to a .csv or .xlsx file, or to -", "{file}：请导出为 .csv 或 .xlsx 文件，或 -"),
    "file_exists": ("{file} exists already: --force writes over it", "{file} 已存在：使用 --force 覆盖"),
    "too_long_for_a_sheet": (
        "a worksheet holds {most} customers: export to .csv",
        "工作表最多 {most} 个客户：请导出为 .csv",
    ),
    "exported": ("{count} customers written to {file}", "已将 {count} 个客户导出到 {file}"),
    # a pool's rules
    "no_rule": (
        "--set {said}: write RULE=VALUE, such as holding_limit=5",
        "--set {said}：应写作 规则=值，例如 holding_limit=5",
    ),
    "off": ("off", "关闭"),
    "hidden": ("hidden", "已隐藏"),
    "pool_is": ("{name}: {status}, version {version}", "{name}：{status}，版本 {version}"),
    "rules": ("in force, version {version}", "已生效，版本 {version}"),
    "would_rule": ("would be in force, nothing was changed; version {version}", "仅试算，未做修改；版本 {version}"),
    "affected": ("deadlines moved: {count}", "期限变动：{count}"),
    "read_again": (
        "somebody has changed the pool meanwhile; read again, version {version}",
        "公海已被他人修改；已重新读取，版本 {version}",
    ),
    "another_version": ("the pool is at version {now}, not {asked}", "公海版本为 {now}，不是 {asked}"),
    "rules_moved": (
        "somebody has just changed the same rules, look first: {rules}",
        "相同的规则刚被他人修改，请先确认：{rules}",
    ),
    "rules_unsettled": ("the pool is being changed all the time: try again", "公海正被频繁修改：请重试"),
    # upkeep
    "sweep.due": ("due", "到期"),
    "sweep.returned": ("returned", "已收回"),
    "sweep.changed": ("changed meanwhile", "期间有变动"),
    "sweep.failed": ("failed", "失败"),
    "sweep.remaining": ("remaining", "剩余"),
    "sweep.reminded": ("reminded", "已提醒"),
    "sweep.lag_s": ("lag, seconds", "延迟（秒）"),
    "unconfirmed": (
        "pool {pool}: so much is due that --confirm has to say so",
        "公海 {pool}：到期过多，须用 --confirm 确认",
    ),
    "audited": ("{customers} customers and {members} members audited", "已核对 {customers} 个客户、{members} 名成员"),
    "drift": (
        "{kind} of {pool}/{id}: expected {expected}, found {found}",
        "{pool}/{id} 的 {kind}：应为 {expected}，实为 {found}",
    ),
    "drift_repaired": (
        "{kind} of {pool}/{id}: expected {expected}, found {found}, repaired",
        "{pool}/{id} 的 {kind}：应为 {expected}，实为 {found}，已修复",
    ),
    "and_more": ("and {count} more", "另有 {count} 处"),
    "unsettled": ("never stood still long enough to be sure: {what}", "一直在变动，无法确定：{what}"),
    "no_time": ("not enough time for all of pool {pool}", "时间不足，未核对完公海 {pool}"),
    "drifted": ("{count} drifted, {repaired} of them repaired", "{count} 处偏差，其中 {repaired} 处已修复"),
    # watching
    "away": ("{why}; still watching", "{why}；继续监视"),
    # what is told
    "none": ("none", "无"),
    "nothing": ("nothing", "无"),
    "again_at": ("Again at {at}.", "{at} 后可重试。"),
    "not_done": ("would have been done, but nothing was", "本可完成，但整批未执行"),
    "paste_token": ("Token", "令牌"),
    "signed_in": (
        "signed in as {user} at {url} until {at}; kept in {path}",
        "已以 {user} 登录 {url}，有效至 {at}；保存于 {path}",
    ),
    # columns and states
    "column.id": ("id", "编号"),
    "column.name": ("name", "名称"),
    "column.state": ("state", "状态"),
    "column.status": ("status", "状态"),
    "column.version": ("version", "版本"),
    "column.holder": ("holder", "负责人"),
    "column.expires_at": ("until", "到期"),
    "column.heading": ("heading", "列名"),
    "column.says": ("is", "对应"),
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

WORDS: Final = {key: Said(*pair) for key, pair in (_ROWS | HELP).items()}
_speaking = "en"


def speak(language: str) -> None:
    global _speaking  # noqa: PLW0603 - one process speaks one language at a time
    _speaking = language


def language() -> str:
    return _speaking


def say(key: str, /, **values: object) -> str:
    text: str = getattr(WORDS[key], _speaking)
    return text.format(**values) if values else text


def language_of(arguments: Sequence[str], environment: Mapping[str, str]) -> str:
    """What `--lang` says, or the locale: `zh` for Chinese, `en` for all others."""
    wanted = next((environment[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environment.get(name)), "")
    for at, argument in enumerate(arguments):
        if argument == "--lang":
            wanted = next(iter(arguments[at + 1 : at + 2]), "")
        elif argument.startswith("--lang="):
            wanted = argument.removeprefix("--lang=")
    return "zh" if wanted.lower().startswith("zh") else "en"
