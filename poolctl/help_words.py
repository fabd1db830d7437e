"""The help text of every command and option in English and Chinese; `commands_base` builds the keys."""

from __future__ import annotations

from typing import Final

HELP: Final = {
    "heading.Usage": ("Usage:", "用法："),
    "heading.Options": ("Options", "选项"),
    "heading.Commands": ("Commands", "命令"),
    "help.poolctl": (
        "The customer pool on the command line: claim, release, import, export, manage.\n\nStart with `poolctl login`, "
        "then `poolctl pools` and `poolctl claim --next 1`.",
        "公海客户命令行：领取、释放、导入、导出与管理。\n\n首先运行 `poolctl login`，然后可以运行 `poolctl pools` 和 "
        "`poolctl claim --next 1`。",
    ),
    "help.epilog": ("Exit codes and examples: docs/poolctl.md", "退出码与示例见 docs/poolctl.md"),
    # shared
    "help.help": ("Show this help.", "显示帮助。"),
    "help.version": ("Show the version.", "显示版本。"),
    "help.as_json": ("Print JSON, errors included.", "以 JSON 输出，包括错误。"),
    "help.lang": ("Language; default: that of the locale.", "语言；默认取自系统语言环境。"),
    "help.url": (
        "Address of the service; default: POOLCTL_URL, then the last login.",
        "服务地址；默认取 POOLCTL_URL，其次为上次登录的地址。",
    ),
    "help.pool_id": (
        "Pool; default: POOLCTL_POOL, then your only pool.",
        "公海；默认取 POOLCTL_POOL，其次为您唯一的公海。",
    ),
    "help.dry_run": ("Show the effect without doing anything.", "只显示结果，不执行。"),
    "help.atomic": ("All or nothing; within one pool.", "全部成功或全部不执行；限同一公海。"),
    # by command
    "help.login": (
        "Sign in with a token, pasted or read from standard input.\n\nWith --local, the token is signed with the key "
        "of the service that `make run` starts.",
        "使用令牌登录：粘贴，或从标准输入读取。\n\n使用 --local 时，由 `make run` 所启动服务的密钥签发令牌。",
    ),
    "help.login.user": ("Sign in to the local service as this user.", "以该用户登录本地服务。"),
    "help.login.roles": ("Roles for --local, comma-separated, such as admin.", "与 --local 同用：角色，例如 admin。"),
    "help.login.tenant": ("Tenant for --local.", "与 --local 同用：租户。"),
    "help.pools": ("List your pools; admins see all.", "列出您的公海；系统管理员可见全部。"),
    "help.mine": ("List the customers that you hold.", "列出您负责的客户。"),
    "help.mine.only_ids": (
        "Print only ids, one a line, for `release -`; POOL/ID if you have several pools.",
        "仅输出编号，每行一个，可用于 `release -`；有多个公海时为“公海/编号”。",
    ),
    "help.claim": (
        "Claim customers by ID or POOL/ID; - reads standard input.",
        "按编号（或“公海/编号”）领取客户；- 表示从标准输入读取。",
    ),
    "help.claim.count": ("Claim the N best available customers instead.", "改为领取优先级最高的 N 个客户。"),
    "help.release": (
        "Release customers by ID or POOL/ID; - reads standard input.",
        "按编号（或“公海/编号”）释放客户；- 表示从标准输入读取。",
    ),
    "help.release.reason": ("Reason; required by some pools.", "原因；部分公海要求填写。"),
    "help.assign": (
        "Assign customers to a member (managers); - reads standard input.",
        "将客户分配给成员（限公海管理员）；- 表示从标准输入读取。",
    ),
    "help.assign.to": ("The member who receives the customers.", "接收客户的成员。"),
    "help.assign.held": ("Transfer customers that somebody holds.", "转移已有负责人的客户。"),
    "help.import": (
        "Import a CSV file or a workbook into a pool (managers).\n\nRun the same command again to continue after an "
        "interruption. Refused lines are written to FILE.errors.csv.",
        "将 CSV 或工作簿导入公海（限公海管理员）。\n\n中断后再次运行相同命令即可继续；被拒绝的行写入 FILE.errors.csv。",
    ),
    "help.import.key": (
        "What identifies a customer; default: the first of these in the file.",
        "识别客户的依据；默认取文件中首个可用者。",
    ),
    "help.import.on_duplicate": (
        "What to do with existing customers; default: reject.",
        "客户已存在时的处理；默认 reject。",
    ),
    "help.import.mapping": ("Field of a column whose heading is not known.", "指定某一列对应的字段。"),
    "help.import.sheet": ("Sheet of a workbook; default: the first.", "工作表；默认第一张。"),
    "help.import.encoding": ("Encoding of a text file; default: detected.", "文本编码；默认自动识别。"),
    "help.import.again": ("Import a file again that was imported before.", "重新导入此前已导入的文件。"),
    "help.import.undo": (
        "Undo the import, except for customers changed since.",
        "撤销该文件的导入；此后有变动的客户除外。",
    ),
    "help.export": (
        "Export the customers of a pool to a .csv or .xlsx file; - prints CSV.",
        "将公海的客户导出为 .csv 或 .xlsx 文件；- 表示输出 CSV。",
    ),
    "help.export.state": ("Only customers in this state.", "仅此状态的客户。"),
    "help.export.holder": ("Only customers of this member; me is you.", "仅该成员负责的客户；me 表示本人。"),
    "help.export.force": ("Overwrite an existing file.", "覆盖已有文件。"),
    "help.policy": (
        "Show the rules of a pool, or change them (managers).\n\nExample: --set holding_limit=5 --set cooldown=off "
        "--apply-to all --dry-run",
        "查看公海规则，或修改规则（限公海管理员）。\n\n例如 --set holding_limit=5 --set cooldown=off --apply-to all "
        "--dry-run",
    ),
    "help.policy.changes": ("New value of a rule; off turns it off.", "规则的新值；off 表示关闭。"),
    "help.policy.apply_to": ("Apply to new claims, or to all; default: new.", "适用于新的领取或全部；默认 new。"),
    "help.policy.version": ("Change only this version of the pool.", "仅当公海处于该版本时修改。"),
    "help.sweep": (
        "Return expired claims to the pool: one pass, now (admins).",
        "立即执行一次到期回收（限系统管理员）。",
    ),
    "help.sweep.confirm": ("Return them even if a large share is due.", "到期比例过高时仍执行。"),
    "help.audit": (
        "Recompute counters, lists and events (admins); exit code 1 if any differs.",
        "核对计数、列表与记录（限系统管理员）；如有偏差，退出码为 1。",
    ),
    "help.audit.repair": ("Repair what can be repaired.", "修复可修复的偏差。"),
    "help.watch": (
        "Watch who holds what in a pool, or the history of one customer. Ctrl-C ends it.",
        "持续观察公海的领取情况，或某一客户的记录。按 Ctrl-C 结束。",
    ),
    "help.watch.mine": ("Only the customers that you hold.", "仅您负责的客户。"),
    "help.watch.every": ("Seconds between updates; default: 5.", "刷新间隔（秒）；默认 5。"),
    "help.watch.times": ("End after this many updates.", "刷新若干次后结束。"),
}  # fmt: skip
