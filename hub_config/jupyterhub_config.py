"""Assembly only: what the other modules build is assigned to `c`."""

from hub_config.db import HubConnection
from hub_config.home import read_token
from hub_config.pages.common import WithNonce
from hub_config.roles import SLOTS, render_custom_scopes, render_roles, server_token_scopes
from hub_config.runtime import current_settings
from hub_config.services import proxy_command, render_services
from hub_config.settings import PYTHON
from hub_config.signing_in.seats import SeatAuthenticator
from hub_config.spawners import WarmSpawner
from hub_config.texts import shared_folder

c = get_config()  # type: ignore[name-defined]  # noqa: F821
settings = current_settings()
hub = settings.home / "hub"

c.JupyterHub.bind_url = (
    f"http://{f'[{settings.bind}]' if ':' in settings.bind else settings.bind}:{settings.port}"
)
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{settings.hub_port}"
c.JupyterHub.db_url = settings.hub_database_url or f"sqlite:///{hub / 'jupyterhub.sqlite'}"
# What a failed statement carried was logged: a cookie, a token.
c.JupyterHub.db_kwargs = {"hide_parameters": True}
if not settings.hub_database_url:
    c.JupyterHub.db_kwargs["connect_args"] = {"check_same_thread": False, "factory": HubConnection}
# An older workspace's tables are brought on, after a copy where they are a file.
c.JupyterHub.upgrade_db = True
if settings.public_url:
    # With the last hop's protocol it would take every request for HTTP, and send cookies without `Secure`.
    c.JupyterHub.public_url = f"{settings.public_url}/"
if settings.public_url.startswith("https:"):
    # It marks its own cookies by the address above, the one against forged requests it does not.
    c.JupyterHub.tornado_settings = {"xsrf_cookie_kwargs": {"secure": True}}
c.JupyterHub.cookie_secret_file = str(hub / "cookie_secret")
c.JupyterHub.cookie_max_age_days = 1
c.JupyterHub.template_paths = [str(shared_folder("templates") / "workspace")]
c.JupyterHub.jinja_environment_options = {"extensions": [WithNonce]}
c.JupyterHub.cleanup_servers = True
c.JupyterHub.cleanup_proxy = True
c.JupyterHub.redirect_to_server = False  # home first: a steward needs no server
c.JupyterHub.concurrent_spawn_limit = 0  # nobody is refused: they wait (limits.line)

c.ConfigurableHTTPProxy.command = proxy_command(settings)
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{settings.proxy_api_port}"
c.ConfigurableHTTPProxy.auth_token = read_token(settings, "proxy")
c.ConfigurableHTTPProxy.pid_file = str(hub / "proxy.pid")
c.ConfigurableHTTPProxy.log_level = "warn"

c.JupyterHub.authenticator_class = SeatAuthenticator
c.Authenticator.allow_all = True  # whom it does not know, it does not authenticate
c.Authenticator.allowed_users = set(SLOTS)  # makes their accounts; no link leads to one
c.Authenticator.manage_groups = True  # copied from the workspace's tables; the Hub's interface cannot add any
c.Authenticator.auth_refresh_age = 60
c.Authenticator.refresh_pre_spawn = True
c.Authenticator.auth_refresh_strict = True  # or a seat's own token would outlive its card

c.JupyterHub.custom_scopes = render_custom_scopes()
c.JupyterHub.load_roles = render_roles()
c.JupyterHub.services = render_services(settings)

c.JupyterHub.spawner_class = WarmSpawner
c.Spawner.cmd = [PYTHON, "-P", "-m", "jupyterhub.singleuser"]
c.Spawner.default_url = "/lab"
c.Spawner.disable_user_config = True
c.Spawner.server_token_scopes = server_token_scopes()
c.Spawner.mem_limit = f"{settings.seat_memory}M" if settings.seat_memory else None
c.Spawner.cpu_limit = settings.seat_cpu / 100 if settings.seat_cpu else None
c.Spawner.start_timeout = 120  # thirty cold starts on two cores
c.Spawner.http_timeout = 120
c.SeatSpawner.interrupt_timeout = 4
c.SeatSpawner.term_timeout = 2
c.SeatSpawner.kill_timeout = 2
