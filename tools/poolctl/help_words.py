"""The help of every command and option, in English and Chinese; `asking` says how the keys are made."""

from __future__ import annotations

from typing import Final

HELP: Final = {
    "help.poolctl": (
        "The customer pool from the command line: claim, give back, import, export, manage.",
        "公海客户命令行：领取、释放、导入、导出与管理。",
    ),
    "help.epilog": ("Exit codes and examples: docs/poolctl.md", "退出码与示例见 docs/poolctl.md"),
    # for several
    "help.help": ("Show this.", "显示帮助。"),
    "help.as_json": ("JSON for programs, also of what fails.", "以 JSON 输出，包括错误。"),
    "help.lang": ("Language: zh or en; otherwise that of LANG.", "语言：zh 或 en；默认取自 LANG。"),
    "help.url": ("The service; else POOLCTL_URL, or where you signed in.", "服务地址；默认取 POOLCTL_URL 或登录地址。"),
    "help.pool": ("The pool; else POOLCTL_POOL, or your only one.", "公海；默认取 POOLCTL_POOL 或您唯一的公海。"),
    "help.dry_run": ("Tell what would be done, and do nothing.", "只说明会做什么，不执行。"),
    "help.atomic": ("All or nothing.", "全部成功或全部不执行。"),
    # one by one
    "help.login": (
        "Keep a token, which is pasted or read from standard input.\n\nWith --local the key of the service that `make "
        "run` starts signs one.",
        "保存令牌：粘贴，或从标准输入读取。\n\n使用 --local 时由 `make run` 所启动服务的密钥签发。",
    ),
    "help.login.user": ("Sign a token for this user of the local service.", "为本地服务的该用户签发令牌。"),
    "help.login.roles": ("Roles of that token, such as admin.", "该令牌的角色，例如 admin。"),
    "help.login.tenant": ("Tenant of that token.", "该令牌的租户。"),
    "help.pools": ("List the pools that you belong to; for an admin, all.", "列出您所属的公海；系统管理员可见全部。"),
    "help.mine": ("List the customers that you hold.", "列出您负责的客户。"),
    "help.mine.only_ids": ("Only their ids, one a line, for `release -`.", "仅编号，每行一个，可用于 `release -`。"),
    "help.claim": ("Claim customers by id; - reads ids from standard input.", "按编号领取客户；- 表示从标准输入读取。"),
    "help.claim.count": ("Claim so many of the best available instead.", "改为领取排在最前的若干客户。"),
    "help.release": ("Give customers back; - reads ids from standard input.", "释放客户；- 表示从标准输入读取。"),
    "help.release.reason": ("Why; some pools require it.", "原因；部分公海要求填写。"),
    "help.assign": ("Give customers to a member, as a manager.", "公海管理员将客户分配给成员。"),
    "help.assign.to": ("The member who gets them.", "接收的成员。"),
    "help.assign.held": ("They are held by somebody else: transfer them.", "客户已被他人负责：转移。"),
    "help.import": (
        "Import a CSV file or a workbook into a pool, as a manager.\n\nThe same command again goes on where it was "
        "stopped. Lines that are refused come back in FILE.errors.csv.",
        "公海管理员将 CSV 或工作簿导入公海。\n\n中断后再次运行相同命令即可继续；被拒绝的行写入 FILE.errors.csv。",
    ),
    "help.import.key": ("What tells customers apart; else the first there is.", "区分客户的依据；默认取首个可用者。"),
    "help.import.on_duplicate": ("What is done with those that exist: reject.", "已存在时的处理；默认 reject。"),
    "help.import.mapping": ("What a column says, for headings that are not known.", "指定某一列对应的字段。"),
    "help.import.sheet": ("The sheet of a workbook; else the first.", "工作表；默认第一张。"),
    "help.import.encoding": ("That of a text where it is not found out.", "文本编码；默认自动识别。"),
    "help.import.again": ("Import anew what was imported before.", "重新导入此前已导入的文件。"),
    "help.import.undo": (
        "Take back what was imported, where nobody has touched it.",
        "撤销该文件的导入；此后有人操作过的客户除外。",
    ),
    "help.export": (
        "Write the customers of a pool to a .csv or .xlsx file, or as CSV to -.",
        "将公海的客户导出为 .csv 或 .xlsx 文件；- 表示以 CSV 输出。",
    ),
    "help.export.state": ("Only those in this state.", "仅此状态。"),
    "help.export.holder": ("Only those of this member; me is you.", "仅该成员负责的客户；me 表示本人。"),
    "help.export.force": ("Write over a file that exists.", "覆盖已有文件。"),
    "help.policy": (
        "Show the rules of a pool, or change them, as a manager.\n\nFor example --set holding_limit=5 --set "
        "cooldown=off --apply-to all --dry-run",
        "查看公海规则，或由公海管理员修改。\n\n例如 --set holding_limit=5 --set cooldown=off --apply-to all --dry-run",
    ),
    "help.policy.changes": ("A rule as it shall be; off switches it off.", "设置一条规则；off 表示关闭。"),
    "help.policy.apply_to": ("New claims, or all: new.", "适用于新领取或全部；默认 new。"),
    "help.policy.version": ("Only if the pool is at this version.", "仅当公海处于该版本时修改。"),
    "help.sweep": (
        "Return the claims past their deadlines: one pass, now, as an admin.",
        "系统管理员立即执行一次到期收回。",
    ),
    "help.sweep.confirm": ("Also where very much is due.", "到期过多时也执行。"),
    "help.audit": (
        "Recompute counters, lists and events, as an admin; exit code 1 where something has drifted.",
        "系统管理员核对计数、列表与记录；如有偏差，退出码为 1。",
    ),
    "help.audit.repair": ("Put right what can be.", "修复可修复的偏差。"),
    "help.watch": (
        "Watch who holds what in a pool, or what happens to one customer. Ctrl-C ends it.",
        "持续查看公海的领取情况，或某一客户的记录。按 Ctrl-C 结束。",
    ),
    "help.watch.mine": ("Only what you hold.", "仅您负责的客户。"),
    "help.watch.every": ("Seconds between two looks: 5.", "刷新间隔（秒）；默认 5。"),
    "help.watch.times": ("End after so many looks.", "刷新若干次后结束。"),
}  # fmt: skip
