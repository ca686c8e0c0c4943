import pytest
from postgres_server import running_server


@pytest.fixture(scope="session")
def postgres_server():
    """URL of a real server with pgvector, of this process's tests."""
    with running_server() as url:
        yield url


@pytest.fixture
def postgres_url(postgres_server, request):
    """Address of a gallery that no other test uses."""
    import psycopg

    schema = f"g{abs(hash(request.node.nodeid))}"
    yield f"{postgres_server}#{schema}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        for name in (schema, f"{schema}_other"):
            connection.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")
