# Writes OUT, a source of schema_sql(), from sql/0.sql, sql/1.sql, ..., and of repeated_sql().
file(WRITE ${OUT} "#include \"core/postgres/schema_sql.hpp\"\n\nnamespace larder::postgres {\n\n"
    "std::string_view schema_sql(std::int64_t version) {\n    switch (version) {\n")
set(version 0)
while(EXISTS ${CMAKE_CURRENT_LIST_DIR}/sql/${version}.sql)
    file(READ ${CMAKE_CURRENT_LIST_DIR}/sql/${version}.sql text)
    file(APPEND ${OUT} "    case ${version}:\n        return R\"sql-text(${text})sql-text\";\n")
    math(EXPR version "${version} + 1")
endwhile()
file(READ ${CMAKE_CURRENT_LIST_DIR}/sql/repeated.sql text)
file(APPEND ${OUT} "    default:\n        return {};\n    }\n}\n\n"
    "std::string_view repeated_sql() { return R\"sql-text(${text})sql-text\"; }\n\n}  // namespace larder::postgres\n")
